#include "textflag.h"

// The child returns from clone(2) on the new stack, so it must not return from
// here: the return address is on the old one. It goes to the Go entry itself,
// not through a wrapper, which the race detector would instrument: the first
// argument is in AX (R0), X15 is zero (cmd/compile/abi-internal.md).

// func rawClone(args *cloneArgs, b *block, entry uintptr) (pid uintptr)
TEXT ·rawClone(SB),NOSPLIT,$16-32
	MOVD	args+0(FP), R9
	MOVD	0(R9), R0  // flags
	MOVD	32(R9), R10 // exit signal
	ORR	R10, R0
	MOVD	40(R9), R1 // stack
	MOVD	48(R9), R10
	ADD	R10, R1
	AND	$~15, R1
	MOVD	8(R9), R2 // pidfd
	MOVD	$0, R3
	MOVD	16(R9), R4 // child's tid
	MOVD	b+8(FP), R19
	MOVD	entry+16(FP), R20
	MOVD	$220, R8 // SYS_clone
	SVC
	CBZ	R0, child
	MOVD	R0, pid+24(FP)
	RET
child:
	MOVD	R19, R0
	CALL	(R20)
	BRK

// func rawClone3(args *cloneArgs, b *block, entry uintptr) (pid uintptr)
TEXT ·rawClone3(SB),NOSPLIT,$16-32
	MOVD	args+0(FP), R0
	MOVD	$64, R1 // CLONE_ARGS_SIZE_VER0
	MOVD	b+8(FP), R19
	MOVD	entry+16(FP), R20
	MOVD	$435, R8 // SYS_clone3
	SVC
	CBZ	R0, child
	MOVD	R0, pid+24(FP)
	RET
child:
	MOVD	R19, R0
	CALL	(R20)
	BRK

// forward is the handler: the signal is in R0, the way back in R30. Until there
// is a program to send to, one signal is kept for it; another one ends us.
TEXT forward<>(SB),NOSPLIT|NOFRAME,$0
	MOVD	R0, R1
	MOVW	·forwardTo(SB), R0
	CMPW	$0, R0
	BLT	hold
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$424, R8 // SYS_pidfd_send_signal
	SVC
	RET
hold:
	MOVD	·held(SB), R2
	CBNZ	R2, leave
	MOVD	$1, R2
	LSL	R1, R2, R2
	MOVD	R2, ·held(SB)
	RET
leave:
	ADD	$128, R1, R0
	MOVD	$94, R8 // SYS_exit_group
	SVC
	BRK

// func forwardPC() (handler, restorer uintptr)
TEXT ·forwardPC(SB),NOSPLIT,$0-16
	MOVD	$forward<>(SB), R0
	MOVD	R0, handler+0(FP)
	MOVD	ZR, restorer+8(FP)
	RET
