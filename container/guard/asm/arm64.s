// The guard of a container, for 64-bit ARM Linux. See amd64.s, which says why
// each step is there; the steps are the same.

	.text
base:
	.byte 0x7f, 'E', 'L', 'F', 2, 1, 1, 0
	.quad 0
	.short 2, 183			// ET_EXEC, EM_AARCH64
	.long 1
	.quad 0x400000 + (start - base)
	.quad phdr - base, 0
	.long 0
	.short 64, 56, 2, 0, 0, 0
phdr:
	.long 1, 5			// PT_LOAD, readable and executable
	.quad 0, 0x400000, 0x400000
	.quad end - base, end - base, 0x10000
	.long 0x6474e551, 6		// PT_GNU_STACK, not executable
	.quad 0, 0, 0, 0, 0, 16

start:
	sub	sp, sp, #64
	mov	x0, #-1
	str	x0, [sp]
	mov	x0, #0			// SIG_BLOCK
	mov	x1, sp
	mov	x2, #0
	mov	x3, #8
	mov	x8, #135		// rt_sigprocmask
	svc	#0

	mov	x8, #57			// close
	mov	x0, #0
	svc	#0
	mov	x0, #1
	svc	#0
	mov	x0, #2
	svc	#0
	mov	x0, #5
	mov	w1, #-1
	mov	x2, #0
	mov	x8, #436		// close_range
	svc	#0

wait:
	mov	w0, #3
	mov	w1, #1			// POLLIN, revents 0
	stp	w0, w1, [sp]
	mov	w0, #4
	stp	w0, w1, [sp, #8]
	mov	x0, sp
	mov	x1, #2
	mov	x2, #0
	mov	x3, #0
	mov	x4, #8
	mov	x8, #73			// ppoll
	svc	#0
	cmn	x0, #4			// EINTR
	b.eq	wait
	cmp	x0, #0
	b.le	wrong

	ldrh	w1, [sp, #6]
	tbnz	w1, #0, kill
	ldrh	w1, [sp, #14]
	tbz	w1, #0, wrong
	mov	x0, #0
	b	exit

kill:
	mov	x0, #4
	mov	x1, #9			// SIGKILL
	mov	x2, #0
	mov	x3, #0
	mov	x8, #424		// pidfd_send_signal
	svc	#0
	cbz	x0, exit
	cmn	x0, #3			// ESRCH
	b.ne	wrong
	mov	x0, #0
	b	exit
wrong:
	mov	x0, #1
exit:
	mov	x8, #94			// exit_group
	svc	#0
end:
