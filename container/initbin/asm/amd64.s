# PID 1 of a container started with --init, for x86-64 Linux.
#
# argv[1] is the file to execute, argv[2] its name, the rest its arguments.
# Passes signals on to the child, reaps every orphan, and ends with the child's
# exit code, or 128+n when signal n ended it.
#
# The file carries its own ELF header: the text section is the whole program,
# one page mapped readable and executable. State lives in registers and on the
# stack; a system call changes rax, rcx and r11 only.
#
#   r12  the child's pid     r13  the stack as the kernel gave it
#   r14  where the signal mask we were given is kept

	.text
base:
	.byte 0x7f, 'E', 'L', 'F', 2, 1, 1, 0
	.quad 0
	.short 2, 62			# ET_EXEC, EM_X86_64
	.long 1
	.quad 0x400000 + (start - base)
	.quad phdr - base, 0
	.long 0
	.short 64, 56, 2, 0, 0, 0
phdr:
	.long 1, 5			# PT_LOAD, readable and executable
	.quad 0, 0x400000, 0x400000
	.quad end - base, end - base, 0x1000
	.long 0x6474e551, 6		# PT_GNU_STACK, not executable
	.quad 0, 0, 0, 0, 0, 16

start:
	mov	%rsp, %r13
	sub	$256, %rsp
	cmpq	$3, (%r13)		# argc: a file and a name are needed
	jb	usage

	# Whoever started us may have ignored SIGCHLD; the kernel would then reap
	# the child itself and its exit code would be lost.
	xor	%eax, %eax
	mov	%rax, 64(%rsp)
	mov	%rax, 72(%rsp)
	mov	%rax, 80(%rsp)
	mov	%rax, 88(%rsp)
	mov	$17, %edi		# SIGCHLD
	lea	64(%rsp), %rsi
	xor	%edx, %edx
	mov	$8, %r10d
	mov	$13, %eax		# rt_sigaction: SIG_DFL
	syscall

	# Block everything before the child is there: an early signal waits for it.
	# A blocked signal is also kept for a process 1 that has no handler.
	movq	$-1, (%rsp)
	xor	%edi, %edi		# SIG_BLOCK
	mov	%rsp, %rsi
	lea	8(%rsp), %r14
	mov	%r14, %rdx
	mov	$8, %r10d
	mov	$14, %eax		# rt_sigprocmask
	syscall

	mov	$57, %eax		# fork
	syscall
	test	%rax, %rax
	js	failed
	jz	child
	mov	%rax, %r12

wait:
	mov	%rsp, %rdi		# every signal
	lea	64(%rsp), %rsi		# siginfo, 128 bytes
	xor	%edx, %edx
	mov	$8, %r10d
	mov	$128, %eax		# rt_sigtimedwait
	syscall
	test	%rax, %rax
	js	wait			# EINTR, after a stop
	cmp	$17, %eax		# SIGCHLD
	je	reap

	# What the kernel sends for a key goes to the whole foreground group, and
	# the child is in ours: passing it on would deliver it twice. The hangup
	# goes to the session's leader alone, so that one is passed on.
	mov	%rax, %rsi
	cmp	$1, %eax		# SIGHUP
	je	forward
	cmpl	$0x80, 72(%rsp)		# si_code is SI_KERNEL
	je	wait
forward:
	mov	%r12, %rdi
	mov	$62, %eax		# kill
	syscall
	jmp	wait

reap:
	mov	$-1, %rdi
	lea	16(%rsp), %rsi		# status
	mov	$1, %edx		# WNOHANG
	xor	%r10d, %r10d
	mov	$61, %eax		# wait4
	syscall
	test	%rax, %rax
	jle	wait			# no more that have ended
	cmp	%rax, %r12
	jne	reap

	mov	16(%rsp), %edi
	mov	%edi, %eax
	and	$0x7f, %eax
	jz	exited
	lea	128(%rax), %edi
	jmp	exit
exited:
	shr	$8, %edi
	and	$0xff, %edi
	jmp	exit

child:
	mov	$2, %edi		# SIG_SETMASK
	mov	%r14, %rsi
	xor	%edx, %edx
	mov	$8, %r10d
	mov	$14, %eax		# rt_sigprocmask
	syscall
	mov	(%r13), %rcx		# argc
	mov	16(%r13), %rdi		# argv[1]
	lea	24(%r13), %rsi		# &argv[2]
	lea	16(%r13,%rcx,8), %rdx	# environ, behind argv's null
	mov	$59, %eax		# execve
	syscall

	# As shells have it: 127 when there is no such file, else 126.
	mov	$126, %ebx
	cmp	$-2, %rax		# ENOENT
	jne	tell
	mov	$127, %ebx
tell:
	lea	message(%rip), %rsi
	mov	$(message_end - message), %edx
	call	print
	mov	16(%r13), %rsi
	xor	%edx, %edx
length:
	cmpb	$0, (%rsi,%rdx)
	je	measured
	inc	%rdx
	jmp	length
measured:
	call	print
	lea	newline(%rip), %rsi
	mov	$1, %edx
	call	print
	mov	%ebx, %edi
	jmp	exit

print:
	mov	$2, %edi
	mov	$1, %eax		# write
	syscall
	ret

usage:
	mov	$2, %edi
	jmp	exit
failed:
	mov	$125, %edi
exit:
	mov	$231, %eax		# exit_group
	syscall

message:
	.ascii "init: cannot execute "
message_end:
newline:
	.ascii "\n"
end:
