/* What stays beside a detached container: waits for something to do and then
 * becomes rl, in the same process. Meanwhile it appends what the container
 * writes to its log and passes signals on. Built by ../initbin/generate.sh.
 *
 * argv is NAME "resume" ID OFFSET: it goes on to rl as it is, but for OFFSET,
 * which is local time's in minutes, with an e behind it where the network device
 * knows Ethernet. In its place rl is told which of the descriptors below are
 * there, as the sum of 1 << number: it opens some before it could look.
 */
typedef unsigned long word;
typedef unsigned char byte;
struct pollfd { int fd; short events, revents; };
struct timespec { long sec, nsec; };

enum {
	RL = 3,      /* rl's own binary */
	INIT = 4,    /* a pidfd of the container's first process */
	LOCK = 5,    /* of the container's directory; held, no more */
	LOG = 6,
	OUT = 7,     /* what the container writes, or its terminal */
	ERR = 8,
	TUN = 9,     /* its network device */
	INPUT = 10,  /* a socket on which someone wants to type */
	STDIN = 11,  /* the other end of its standard input */
	PACKET = 12, /* the frame that rl is to answer, with what stands before it */
	IMAGE = 13,  /* the lock of its image; held, no more */
	MORE = 14,   /* and up: sockets on which someone wants the container */
};

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, NANOSLEEP = 35, FCNTL = 72, PRCTL = 157, EXIT = 231, GETTIME = 228, PPOLL = 271,
       SIGNALFD = 289, DUP3 = 292, MEMFD = 319, EXECVEAT = 322, EXECVE = 59, SIGMASK = 14, SENDSIG = 424 };
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
enum { READ = 63, WRITE = 64, CLOSE = 57, NANOSLEEP = 101, FCNTL = 25, PRCTL = 167, EXIT = 94, GETTIME = 113, PPOLL = 73,
       SIGNALFD = 74, DUP3 = 24, MEMFD = 279, EXECVEAT = 281, EXECVE = 221, SIGMASK = 135, SENDSIG = 424 };
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

enum { EINTR = 4, EAGAIN = 11, F_GETFD = 1, CLOEXEC = 02000000, SIG_BLOCK = 0, AT_EMPTY_PATH = 0x1000, PR_SET_NAME = 15, HEADER = 12, ETHER = 14 };

static int is_open(int fd) { return call(FCNTL, fd, F_GETFD, 0, 0, 0) >= 0; }

/* The C compiler may make calls of these from loops. */
__attribute__((used)) void *memcpy(void *to, const void *from, word n)
{
	for (word i = 0; i < n; i++)
		((byte *)to)[i] = ((const byte *)from)[i];
	return to;
}

__attribute__((used)) void *memset(void *to, int value, word n)
{
	for (word i = 0; i < n; i++)
		((byte *)to)[i] = value;
	return to;
}

static void write_all(int fd, const char *text, word n)
{
	while (n > 0) {
		long r = call(WRITE, fd, (long)text, n, 0, 0);
		if (r == -EINTR)
			continue;
		if (r <= 0)
			return; /* a full disk stops the log, not the container */
		text += r;
		n -= r;
	}
}

static char *number(char *at, long value, int digits)
{
	for (int i = digits - 1; i >= 0; i--, value /= 10)
		at[i] = '0' + value % 10;
	return at + digits;
}

/* stamp writes TIME STREAM, as podman's k8s-file has them. */
static char *stamp(char *at, int offset, const char *stream)
{
	struct timespec now = {0, 0};
	call(GETTIME, 0, (long)&now, 0, 0, 0);
	long local = now.sec + offset * 60L, days = local / 86400, rest = local % 86400;
	/* Days of a calendar that begins in March of year 0, in eras of 400 years. */
	days += 719468;
	long era = days / 146097, of_era = days % 146097;
	long year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	long of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
	long day = of_year - (153 * month + 2) / 5 + 1;
	month += month < 10 ? 3 : -9;
	year += era * 400 + (month <= 2);
	at = number(at, year, 4), *at++ = '-';
	at = number(at, month, 2), *at++ = '-';
	at = number(at, day, 2), *at++ = 'T';
	at = number(at, rest / 3600, 2), *at++ = ':';
	at = number(at, rest / 60 % 60, 2), *at++ = ':';
	at = number(at, rest % 60, 2), *at++ = '.';
	at = number(at, now.nsec, 9);
	*at++ = offset < 0 ? '-' : '+';
	if (offset < 0)
		offset = -offset;
	at = number(at, offset / 60, 2), *at++ = ':';
	at = number(at, offset % 60, 2), *at++ = ' ';
	while (*stream)
		*at++ = *stream++;
	return at;
}

enum { SIZE = 64 << 10 };

/* carry appends what there is to the log, line by line: F ends one, P does not.
 * False: the stream has ended. */
static int carry(int fd, const char *stream, int offset)
{
	char text[SIZE], out[SIZE], head[64];
	long n = call(READ, fd, (long)text, SIZE, 0, 0);
	if (n == -EINTR || n == -EAGAIN)
		return 1;
	if (n <= 0)
		return 0;
	word size = stamp(head, offset, stream) - head, used = 0;
	for (char *at = text, *end = text + n; at < end;) {
		char *line = at;
		while (at < end && *at != '\n')
			at++;
		word length = at - line, room = size + 3 + length + 1;
		int whole = at++ < end;
		if (used + room > SIZE) {
			write_all(LOG, out, used);
			used = 0;
		}
		if (room > SIZE / 2 && used == 0) { /* too long to be worth a copy */
			memcpy(out, head, size);
			memcpy(out + size, whole ? " F " : " P ", 3);
			write_all(LOG, out, size + 3);
			write_all(LOG, line, length);
			write_all(LOG, "\n", 1);
			continue;
		}
		memcpy(out + used, head, size);
		memcpy(out + used + size, whole ? " F " : " P ", 3);
		memcpy(out + used + size + 3, line, length);
		used += room;
		out[used - 1] = '\n';
	}
	write_all(LOG, out, used);
	return 1;
}

/* wanted: what goes to a multicast address the kernel sends by itself, and it
 * wants no answer. */
static int wanted(const byte *p, long n)
{
	if (n >= 20 && p[0] >> 4 == 4)
		return p[16] >> 4 != 0xe;
	return n >= 40 && p[0] >> 4 == 6 && p[24] != 0xff;
}

/* packet keeps the first one that is wanted. */
static int packet(int head)
{
	byte text[HEADER + ETHER + SIZE];
	long n = call(READ, TUN, (long)text, sizeof text, 0, 0);
	if (n <= head || !wanted(text + head, n - head))
		return 0;
	long fd = call(MEMFD, (long)"packet", 1, 0, 0, 0);
	if (fd >= 0) {
		write_all(fd, (char *)text, n);
		call(DUP3, fd, PACKET, 0, 0, 0);
	}
	return 1;
}

/* become executes rl. The binary may be busy for a moment, or memory scarce. */
static void become(char **argv, char **env, word there)
{
	struct timespec tick = {0, 100000000};
	char text[20] = {0}, *at = text + sizeof text - 1;
	for (; there > 0; there /= 10)
		*--at = '0' + there % 10;
	argv[3] = at;
	for (int tries = 0; tries < 600; tries++) {
		call(EXECVEAT, RL, (long)"", (long)argv, (long)env, AT_EMPTY_PATH);
		call(EXECVE, (long)"/proc/self/fd/3", (long)argv, (long)env, 0, 0);
		call(NANOSLEEP, (long)&tick, 0, 0, 0, 0);
	}
	call(EXIT, 125, 0, 0, 0, 0);
}

static int parse(const char *text, int *head)
{
	int sign = *text == '-' ? -1 : 1, value = 0;
	for (text += sign < 0; *text && *text != 'e'; text++)
		value = value * 10 + *text - '0';
	*head = HEADER + (*text == 'e' ? ETHER : 0);
	return sign * value;
}

/* signals opens a descriptor for what another process may send: but not for
 * our children's end, Go's own signals, faults, and the terminal's. */
static int signals(void)
{
	word mask = ~0UL, not[] = {4, 5, 7, 8, 11, 13, 17, 21, 22, 23, 27, 28, 31};
	for (word i = 0; i < sizeof not / sizeof *not; i++)
		mask &= ~(1UL << (not[i] - 1));
	call(SIGMASK, SIG_BLOCK, (long)&mask, 0, 8, 0);
	return call(SIGNALFD, -1, (long)&mask, 8, CLOEXEC, 0);
}

enum { FIXED = 6, MOST = 48 };

__attribute__((used)) void begin(long *stack)
{
	long argc = stack[0];
	char **argv = (char **)(stack + 1), **env = argv + argc + 1;
	if (argc < 4)
		call(EXIT, 125, 0, 0, 0, 0);
	struct pollfd p[FIXED + MOST] = {{0, 1, 0}, {OUT, 1, 0}, {ERR, 1, 0}, {INIT, 1, 0}, {TUN, 1, 0}, {INPUT, 1, 0}};
	int head, offset = parse(argv[3], &head), n = FIXED;
	word there = 0; /* before anything takes a number that is free */
	for (int fd = RL; fd < MORE + MOST && fd < 63; fd++)
		if (is_open(fd)) {
			there |= 1UL << fd;
			if (fd >= MORE)
				p[n++] = (struct pollfd){fd, 1, 0};
		}
	for (int i = 1; i < FIXED; i++)
		if (!(there >> p[i].fd & 1))
			p[i].fd = -1;
	call(PRCTL, PR_SET_NAME, (long)argv[0], 0, 0, 0);
	p[0].fd = signals();
	for (;;) {
		if (call(PPOLL, (long)p, n, 0, 0, 8) < 0)
			continue;
		int info[32];
		if (p[0].revents && call(READ, p[0].fd, (long)info, sizeof info, 0, 0) > 0)
			call(SENDSIG, INIT, info[0], 0, 0, 0);
		for (int i = 1; i <= 2; i++)
			if (p[i].revents && !carry(p[i].fd, i == 1 ? "stdout" : "stderr", offset)) {
				call(CLOSE, p[i].fd, 0, 0, 0, 0);
				there &= ~(1UL << p[i].fd);
				p[i].fd = -1;
			}
		if (p[4].revents && packet(head))
			become(argv, env, there | 1UL << PACKET);
		for (int i = 3; i < n; i++)
			if (i != 4 && p[i].revents)
				become(argv, env, there);
	}
}
