#include "textflag.h"

// The child returns from clone(2) on the new stack, so it must not return from
// here: the return address is on the old one. It goes to the Go entry itself,
// not through a wrapper, which the race detector would instrument: the first
// argument is in AX (R0), X15 is zero (cmd/compile/abi-internal.md).

// func rawClone(args *cloneArgs, b *block, entry uintptr) (pid uintptr)
TEXT ·rawClone(SB),NOSPLIT,$0-32
	MOVQ	args+0(FP), R9
	MOVQ	0(R9), DI  // flags
	ORQ	32(R9), DI // exit signal
	MOVQ	40(R9), SI // stack
	ADDQ	48(R9), SI
	ANDQ	$~15, SI
	MOVQ	8(R9), DX   // pidfd
	MOVQ	16(R9), R10 // child's tid
	XORL	R8, R8
	MOVQ	b+8(FP), R12
	MOVQ	entry+16(FP), R13
	MOVL	$56, AX // SYS_clone
	SYSCALL
	TESTQ	AX, AX
	JEQ	child
	MOVQ	AX, pid+24(FP)
	RET
child:
	MOVQ	R12, AX
	XORPS	X15, X15
	CALL	R13
	INT	$3

// func rawClone3(args *cloneArgs, b *block, entry uintptr) (pid uintptr)
TEXT ·rawClone3(SB),NOSPLIT,$0-32
	MOVQ	args+0(FP), DI
	MOVQ	$64, SI // CLONE_ARGS_SIZE_VER0
	MOVQ	b+8(FP), R12
	MOVQ	entry+16(FP), R13
	MOVL	$435, AX // SYS_clone3
	SYSCALL
	TESTQ	AX, AX
	JEQ	child
	MOVQ	AX, pid+24(FP)
	RET
child:
	MOVQ	R12, AX
	XORPS	X15, X15
	CALL	R13
	INT	$3

// forward is the handler: the signal is in DI, and all registers come back from
// the kernel's frame. Until there is a program to send to, one signal is kept
// for it; another one ends us.
TEXT forward<>(SB),NOSPLIT|NOFRAME,$0
	MOVL	DI, SI
	MOVL	·forwardTo(SB), DI
	TESTL	DI, DI
	JLT	hold
	XORL	DX, DX
	XORL	R10, R10
	MOVL	$424, AX // SYS_pidfd_send_signal
	SYSCALL
	RET
hold:
	MOVQ	·held(SB), AX
	TESTQ	AX, AX
	JNE	leave
	MOVL	SI, CX
	MOVQ	$1, AX
	SHLQ	CX, AX
	MOVQ	AX, ·held(SB)
	RET
leave:
	LEAL	128(SI), DI
	MOVL	$231, AX // SYS_exit_group
	SYSCALL
	INT	$3

TEXT restore<>(SB),NOSPLIT|NOFRAME,$0
	MOVL	$15, AX // SYS_rt_sigreturn
	SYSCALL
	INT	$3

// func forwardPC() (handler, restorer uintptr)
TEXT ·forwardPC(SB),NOSPLIT,$0-16
	LEAQ	forward<>(SB), AX
	MOVQ	AX, handler+0(FP)
	LEAQ	restore<>(SB), AX
	MOVQ	AX, restorer+8(FP)
	RET
