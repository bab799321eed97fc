# The guard of a container, for x86-64 Linux.
#
# Descriptor 3 is a pidfd of the supervisor, 4 one of the container's process
# 1. When the supervisor is gone the container is killed; when the container is
# gone there is nothing left to do. The text section is the whole ELF file.

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
	sub	$64, %rsp

	# A key pressed at the terminal, or its hangup, is not for us: those are
	# the moments the guard is there for.
	movq	$-1, (%rsp)
	xor	%edi, %edi		# SIG_BLOCK
	mov	%rsp, %rsi
	xor	%edx, %edx
	mov	$8, %r10d
	mov	$14, %eax		# rt_sigprocmask
	syscall

	# Nothing else may stay open: a reader of the supervisor's output waits
	# for its end.
	xor	%edi, %edi
	mov	$3, %eax		# close
	syscall
	mov	$1, %edi
	mov	$3, %eax
	syscall
	mov	$2, %edi
	mov	$3, %eax
	syscall
	mov	$5, %edi
	mov	$-1, %esi
	xor	%edx, %edx
	mov	$436, %eax		# close_range, Linux 5.9; older: no harm
	syscall

wait:
	movl	$3, (%rsp)
	movl	$1, 4(%rsp)		# POLLIN, revents 0
	movl	$4, 8(%rsp)
	movl	$1, 12(%rsp)
	mov	%rsp, %rdi
	mov	$2, %esi
	xor	%edx, %edx		# no time limit
	xor	%r10d, %r10d		# no other signal mask
	mov	$8, %r8d
	mov	$271, %eax		# ppoll
	syscall
	cmp	$-4, %rax		# EINTR, after a stop
	je	wait
	mov	$1, %edi
	test	%rax, %rax
	jle	exit

	movzwl	6(%rsp), %eax
	test	$1, %eax
	jnz	kill
	xor	%edi, %edi
	movzwl	14(%rsp), %eax
	test	$1, %eax
	jnz	exit
	mov	$1, %edi		# a descriptor is missing
	jmp	exit

kill:
	mov	$4, %edi
	mov	$9, %esi		# SIGKILL
	xor	%edx, %edx
	xor	%r10d, %r10d
	mov	$424, %eax		# pidfd_send_signal
	syscall
	xor	%edi, %edi
	test	%rax, %rax
	jz	exit
	cmp	$-3, %rax		# ESRCH: it has ended by itself
	je	exit
	mov	$1, %edi
exit:
	mov	$231, %eax		# exit_group
	syscall
end:
