#include "textflag.h"

// func rawClone(flags, stack uintptr, pidfd *int32, word *uint32, b *block) (pid uintptr)
//
// The child returns from clone(2) on the new stack, so it must not return from
// here: the return address is on the old one.
TEXT ·rawClone(SB),NOSPLIT,$16-48
	MOVD	flags+0(FP), R0
	MOVD	stack+8(FP), R1
	MOVD	pidfd+16(FP), R2
	MOVD	$0, R3
	MOVD	word+24(FP), R4
	MOVD	b+32(FP), R19
	MOVD	$220, R8 // SYS_clone
	SVC
	CBZ	R0, child
	MOVD	R0, pid+40(FP)
	RET
child:
	MOVD	R19, 8(RSP)
	BL	·interpret(SB)
	BRK
