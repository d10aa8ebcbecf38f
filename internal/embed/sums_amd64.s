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

// func dotShortAVX2(v *int16, row *byte, n int) int32
// n is a multiple of 16. Two sums are kept, so that one addition need not wait for the other.
TEXT ·dotShortAVX2(SB), NOSPLIT, $0-28
	MOVQ  v+0(FP), SI
	MOVQ  row+8(FP), DI
	MOVQ  n+16(FP), CX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1

twice:
	CMPQ      CX, $32
	JLT       once
	VPMOVSXBW (DI), Y2
	VPMOVSXBW 16(DI), Y3
	VPMADDWD  (SI), Y2, Y2
	VPMADDWD  32(SI), Y3, Y3
	VPADDD    Y2, Y0, Y0
	VPADDD    Y3, Y1, Y1
	ADDQ      $32, DI
	ADDQ      $64, SI
	SUBQ      $32, CX
	JMP       twice

once:
	TESTQ     CX, CX
	JEQ       all
	VPMOVSXBW (DI), Y2
	VPMADDWD  (SI), Y2, Y2
	VPADDD    Y2, Y0, Y0

all:
	VPADDD       Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDD       X1, X0, X0
	VPSHUFD      $0x4E, X0, X1
	VPADDD       X1, X0, X0
	VPSHUFD      $0xB1, X0, X1
	VPADDD       X1, X0, X0
	VMOVD        X0, AX
	VZEROUPPER
	MOVL         AX, ret+24(FP)
	RET

// func toInt16AVX2(to *int16, v *float32, n int, scale float32)
// n is a multiple of 16, and more than 0.
TEXT ·toInt16AVX2(SB), NOSPLIT, $0-28
	MOVQ         to+0(FP), DI
	MOVQ         v+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS scale+24(FP), Y0

sixteen:
	VMULPS     (SI), Y0, Y1
	VMULPS     32(SI), Y0, Y2
	VCVTPS2DQ  Y1, Y1
	VCVTPS2DQ  Y2, Y2
	VPACKSSDW  Y2, Y1, Y1
	VPERMQ     $0xD8, Y1, Y1
	VMOVDQU    Y1, (DI)
	ADDQ       $64, SI
	ADDQ       $32, DI
	SUBQ       $16, CX
	JNE        sixteen
	VZEROUPPER
	RET
