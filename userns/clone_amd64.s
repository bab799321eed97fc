#include "textflag.h"

// func rawClone(flags, stack uintptr, pidfd *int32, word *uint32, b *block, entry uintptr) (pid uintptr)
//
// The child returns from clone(2) on the new stack, so it must not return from
// here: the return address is on the old one. It goes to the Go entry itself,
// not through a wrapper, which the race detector would instrument: the first
// argument is in AX (R0), X15 is zero (cmd/compile/abi-internal.md).
TEXT ·rawClone(SB),NOSPLIT,$0-56
	MOVQ	flags+0(FP), DI
	MOVQ	stack+8(FP), SI
	MOVQ	pidfd+16(FP), DX
	MOVQ	word+24(FP), R10
	XORL	R8, R8
	MOVQ	b+32(FP), R12
	MOVQ	entry+40(FP), R13
	MOVL	$56, AX // SYS_clone
	SYSCALL
	TESTQ	AX, AX
	JEQ	child
	MOVQ	AX, pid+48(FP)
	RET
child:
	MOVQ	R12, AX
	XORPS	X15, X15
	CALL	R13
	INT	$3
