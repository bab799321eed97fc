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
