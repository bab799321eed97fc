/* The guard of a container in the foreground: kills the container's init when
 * rl is gone. The parent-death signal does that as long as the program keeps
 * its ids; a change of ids clears it (prctl(2)), and this does not depend on
 * it. Descriptor 3 is a pidfd of rl, 4 one of the container's init. Built by
 * ../initbin/generate.sh.
 */
typedef unsigned long word;
struct pollfd { int fd; short events, revents; };

#if defined(__x86_64__)
enum { PPOLL = 271, SENDSIG = 424, EXIT = 231 };
static long call(long n, long a, long b, long c, long d, long e)
{
	long r;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return r;
}
__asm__(".globl _start\n_start: and $-16, %rsp\ncall begin\n");
#elif defined(__aarch64__)
enum { PPOLL = 73, SENDSIG = 424, EXIT = 94 };
static long call(long n, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}
__asm__(".globl _start\n_start: bl begin\n");
#endif

__attribute__((used)) void begin(void)
{
	struct pollfd p[2] = {{3, 1, 0}, {4, 1, 0}};
	while (call(PPOLL, (long)p, 2, 0, 0, 8) < 0)
		;
	if (p[0].revents && !p[1].revents)
		call(SENDSIG, 4, 9, 0, 0, 0);
	call(EXIT, 0, 0, 0, 0, 0);
}
