// PID 1 of a container started with --init, for 64-bit ARM Linux. See amd64.s,
// which says why each step is there; the steps are the same.
//
//   x19  the child's pid     x20  the stack as the kernel gave it
//   x21  the exit code of a failed execve

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
	mov	x20, sp
	sub	sp, sp, #256
	ldr	x0, [x20]
	cmp	x0, #3
	b.lo	usage

	stp	xzr, xzr, [sp, #64]
	stp	xzr, xzr, [sp, #80]
	mov	x0, #17			// SIGCHLD
	add	x1, sp, #64
	mov	x2, #0
	mov	x3, #8
	mov	x8, #134		// rt_sigaction
	svc	#0

	mov	x0, #-1
	str	x0, [sp]
	mov	x0, #0			// SIG_BLOCK
	mov	x1, sp
	add	x2, sp, #8
	mov	x3, #8
	mov	x8, #135		// rt_sigprocmask
	svc	#0

	mov	x0, #17			// SIGCHLD: as fork does
	mov	x1, #0
	mov	x2, #0
	mov	x3, #0
	mov	x4, #0
	mov	x8, #220		// clone
	svc	#0
	tbnz	x0, #63, failed
	cbz	x0, child
	mov	x19, x0

wait:
	mov	x0, sp
	add	x1, sp, #64
	mov	x2, #0
	mov	x3, #8
	mov	x8, #137		// rt_sigtimedwait
	svc	#0
	tbnz	x0, #63, wait
	cmp	x0, #17			// SIGCHLD
	b.eq	reap
	mov	x1, x0
	cmp	x0, #1			// SIGHUP
	b.eq	forward
	ldr	w2, [sp, #72]
	cmp	w2, #0x80		// SI_KERNEL
	b.eq	wait
forward:
	mov	x0, x19
	mov	x8, #129		// kill
	svc	#0
	b	wait

reap:
	mov	x0, #-1
	add	x1, sp, #16
	mov	x2, #1			// WNOHANG
	mov	x3, #0
	mov	x8, #260		// wait4
	svc	#0
	cmp	x0, #0
	b.le	wait
	cmp	x0, x19
	b.ne	reap

	ldr	w1, [sp, #16]
	ands	w2, w1, #0x7f
	b.eq	exited
	add	w0, w2, #128
	b	exit
exited:
	ubfx	w0, w1, #8, #8
	b	exit

child:
	mov	x0, #2			// SIG_SETMASK
	add	x1, sp, #8
	mov	x2, #0
	mov	x3, #8
	mov	x8, #135		// rt_sigprocmask
	svc	#0
	ldr	x3, [x20]		// argc
	ldr	x0, [x20, #16]		// argv[1]
	add	x1, x20, #24		// &argv[2]
	add	x2, x20, #16
	add	x2, x2, x3, lsl #3	// environ
	mov	x8, #221		// execve
	svc	#0

	mov	x21, #126
	cmn	x0, #2			// ENOENT
	b.ne	tell
	mov	x21, #127
tell:
	adr	x1, message
	mov	x2, #21
	bl	print
	ldr	x1, [x20, #16]
	mov	x2, #0
length:
	ldrb	w3, [x1, x2]
	cbz	w3, measured
	add	x2, x2, #1
	b	length
measured:
	bl	print
	adr	x1, newline
	mov	x2, #1
	bl	print
	mov	x0, x21
	b	exit

print:
	mov	x0, #2
	mov	x8, #64			// write
	svc	#0
	ret

usage:
	mov	x0, #2
	b	exit
failed:
	mov	x0, #125
exit:
	mov	x8, #94			// exit_group
	svc	#0

message:
	.ascii "init: cannot execute "
newline:
	.ascii "\n"
end:
