#include "textflag.h"

// func rawClone(flags, stack uintptr, pidfd *int32, word *uint32, b *block, entry uintptr) (pid uintptr)
//
// The child returns from clone(2) on the new stack, so it must not return from
// here: the return address is on the old one. It goes to the Go entry itself,
// not through a wrapper, which the race detector would instrument: the first
// argument is in AX (R0), X15 is zero (cmd/compile/abi-internal.md).
TEXT ·rawClone(SB),NOSPLIT,$16-56
	MOVD	flags+0(FP), R0
	MOVD	stack+8(FP), R1
	MOVD	pidfd+16(FP), R2
	MOVD	$0, R3
	MOVD	word+24(FP), R4
	MOVD	b+32(FP), R19
	MOVD	entry+40(FP), R20
	MOVD	$220, R8 // SYS_clone
	SVC
	CBZ	R0, child
	MOVD	R0, pid+48(FP)
	RET
child:
	MOVD	R19, R0
	CALL	(R20)
	BRK
