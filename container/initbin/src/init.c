/* The init of --init: runs its arguments as a child, passes signals on to it,
 * reaps what is orphaned, and ends as the child did. No C library: as process 1
 * of every container it must be small. Built by generate.sh.
 */
typedef unsigned long word;

#if defined(__x86_64__)
enum { WRITE = 1, EXECVE = 59, FORK = 56, WAIT4 = 61, KILL = 62, EXIT = 231, SIGPROCMASK = 14, SIGTIMEDWAIT = 128, SETPGID = 109, IOCTL = 16 };
static long call(long n, long a, long b, long c, long d, long e)
{
	long r;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return r;
}
__asm__(".globl _start\n_start: mov %rsp, %rdi\nand $-16, %rsp\ncall begin\n");
#elif defined(__aarch64__)
enum { WRITE = 64, EXECVE = 221, FORK = 220, WAIT4 = 260, KILL = 129, EXIT = 94, SIGPROCMASK = 135, SIGTIMEDWAIT = 137, SETPGID = 154, IOCTL = 29 };
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
__asm__(".globl _start\n_start: mov x0, sp\nbl begin\n");
#endif

enum { SIGCHLD = 17, SIGTTIN = 21, SIGTTOU = 22, ENOENT = 2, EACCES = 13, ENOTDIR = 20, NOHANG = 1, TIOCSPGRP = 0x5410 };

static void say(const char *s)
{
	word n = 0;
	while (s[n])
		n++;
	call(WRITE, 2, (long)s, (long)n, 0, 0);
}

/* run tries the paths given before the empty argument, as execvp(3) would. */
static void run(char **paths, char **argv, char **env)
{
	long why = -ENOENT;
	for (; (*paths)[0]; paths++) {
		long r = call(EXECVE, (long)*paths, (long)argv, (long)env, 0, 0);
		if (r != -ENOENT && r != -ENOTDIR)
			why = r;
		if (r != -ENOENT && r != -ENOTDIR && r != -EACCES)
			break;
	}
	say("rl: exec: ");
	say(argv[0]);
	say(why == -ENOENT ? ": executable file not found\n" : ": cannot be executed\n");
	call(EXIT, why == -ENOENT ? 127 : 126, 0, 0, 0, 0);
}

/* argv: name, paths to try, "", the program's own argv. */
__attribute__((used)) void begin(word *stack)
{
	long argc = (long)stack[0];
	char **argv = (char **)(stack + 1), **env = argv + argc + 1, **own = argv + 1;
	word all = ~0UL, none = 0;
	long pid;
	while (*own && (*own)[0])
		own++;
	if (!*own || !own[1])
		call(EXIT, 127, 0, 0, 0, 0);
	own++;
	call(SIGPROCMASK, 2, (long)&all, 0, 8, 0);
	pid = call(FORK, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		int self = 0;
		/* A group of its own, in the foreground: job control of a shell. */
		call(SETPGID, 0, 0, 0, 0, 0);
		self = (int)call(
#if defined(__x86_64__)
			39,
#else
			172,
#endif
			0, 0, 0, 0, 0);
		call(IOCTL, 0, TIOCSPGRP, (long)&self, 0, 0);
		call(SIGPROCMASK, 2, (long)&none, 0, 8, 0);
		run(argv + 1, own, env);
	}
	if (pid < 0)
		call(EXIT, 126, 0, 0, 0, 0);
	for (;;) {
		long s = call(SIGTIMEDWAIT, (long)&all, 0, 0, 8, 0);
		int status;
		long dead;
		if (s > 0 && s != SIGCHLD && s != SIGTTIN && s != SIGTTOU)
			call(KILL, pid, s, 0, 0, 0);
		while ((dead = call(WAIT4, -1, (long)&status, NOHANG, 0, 0)) > 0)
			if (dead == pid)
				call(EXIT, (status & 127) ? 128 + (status & 127) : (status >> 8) & 255, 0, 0, 0, 0);
	}
}
