#include "textflag.h"

// func dotAVX2(v, w *float32, n int) float32
// n is a multiple of 8. Two sums are kept, so that one addition need not wait for the other.
TEXT ·dotAVX2(SB), NOSPLIT, $0-28
	MOVQ   v+0(FP), SI
	MOVQ   w+8(FP), DI
	MOVQ   n+16(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1

pairs:
	CMPQ        CX, $16
	JLT         single
	VMOVUPS     (SI), Y2
	VMOVUPS     32(SI), Y3
	VFMADD231PS (DI), Y2, Y0
	VFMADD231PS 32(DI), Y3, Y1
	ADDQ        $64, SI
	ADDQ        $64, DI
	SUBQ        $16, CX
	JMP         pairs

single:
	TESTQ       CX, CX
	JEQ         sum
	VMOVUPS     (SI), Y2
	VFMADD231PS (DI), Y2, Y0

sum:
	VADDPS       Y1, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS       X1, X0, X0
	VHADDPS      X0, X0, X0
	VHADDPS      X0, X0, X0
	VZEROUPPER
	MOVSS        X0, ret+24(FP)
	RET

// func addRowAVX2(v *float32, row *byte, n int, scale float32)
// n is a multiple of 8, and more than 0.
TEXT ·addRowAVX2(SB), NOSPLIT, $0-28
	MOVQ         v+0(FP), DI
	MOVQ         row+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS scale+24(FP), Y0

eight:
	VPMOVSXBD   (SI), Y1
	VCVTDQ2PS   Y1, Y1
	VMOVUPS     (DI), Y2
	VFMADD231PS Y0, Y1, Y2
	VMOVUPS     Y2, (DI)
	ADDQ        $8, SI
	ADDQ        $32, DI
	SUBQ        $8, CX
	JNE         eight
	VZEROUPPER
	RET
