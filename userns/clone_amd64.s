#include "textflag.h"

// func rawClone(flags, stack uintptr, pidfd *int32, word *uint32, b *block) (pid uintptr)
//
// The child returns from clone(2) on the new stack, so it must not return from
// here: the return address is on the old one.
TEXT ·rawClone(SB),NOSPLIT,$0-48
	MOVQ	flags+0(FP), DI
	MOVQ	stack+8(FP), SI
	MOVQ	pidfd+16(FP), DX
	MOVQ	word+24(FP), R10
	XORL	R8, R8
	MOVQ	b+32(FP), R12
	MOVL	$56, AX // SYS_clone
	SYSCALL
	TESTQ	AX, AX
	JEQ	child
	MOVQ	AX, pid+40(FP)
	RET
child:
	MOVQ	R12, 0(SP)
	CALL	·interpret(SB)
	INT	$3
