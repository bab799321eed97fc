/* The pause of a pod: holds its namespaces, reaps what is orphaned where it is
 * process 1, and ends when it is asked to. Built by ../generate.sh.
 */
typedef unsigned long word;

#if defined(__x86_64__)
enum { WAIT4 = 61, EXIT = 231, SIGPROCMASK = 14, SIGTIMEDWAIT = 128 };
static long call(long n, long a, long b, long c, long d)
{
	long r;
	register long r10 __asm__("r10") = d;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return r;
}
__asm__(".globl _start\n_start: and $-16, %rsp\ncall begin\n");
#elif defined(__aarch64__)
enum { WAIT4 = 260, EXIT = 94, SIGPROCMASK = 135, SIGTIMEDWAIT = 137 };
static long call(long n, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}
__asm__(".globl _start\n_start: bl begin\n");
#endif

enum { SIGINT = 2, SIGTERM = 15, NOHANG = 1 };

__attribute__((used)) void begin(void)
{
	word all = ~0UL;
	call(SIGPROCMASK, 2, (long)&all, 0, 8);
	for (;;) {
		long s = call(SIGTIMEDWAIT, (long)&all, 0, 0, 8);
		if (s == SIGINT || s == SIGTERM)
			call(EXIT, 0, 0, 0, 0);
		while (call(WAIT4, -1, 0, NOHANG, 0) > 0)
			;
	}
}
