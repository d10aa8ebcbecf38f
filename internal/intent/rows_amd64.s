#include "textflag.h"

// func addRowsAVX2(sums *[16]uint16, rows *row, features *uint32, n int)
// n is a multiple of 4, and more than 0. Four rows are asked for before the first one is needed, and little else stands
// between one four and the next: the processor waits for many at once.
TEXT ·addRowsAVX2(SB), NOSPLIT, $0-32
	MOVQ  sums+0(FP), DI
	MOVQ  rows+8(FP), BX
	MOVQ  features+16(FP), SI
	MOVQ  n+24(FP), CX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1

four:
	MOVL      (SI), AX
	MOVL      4(SI), DX
	MOVL      8(SI), R8
	MOVL      12(SI), R9
	SHLQ      $4, AX
	SHLQ      $4, DX
	SHLQ      $4, R8
	SHLQ      $4, R9
	VPMOVZXBW (BX)(AX*1), Y2
	VPMOVZXBW (BX)(DX*1), Y3
	VPMOVZXBW (BX)(R8*1), Y4
	VPMOVZXBW (BX)(R9*1), Y5
	VPADDW    Y2, Y0, Y0
	VPADDW    Y3, Y1, Y1
	VPADDW    Y4, Y0, Y0
	VPADDW    Y5, Y1, Y1
	ADDQ      $16, SI
	SUBQ      $4, CX
	JNE       four

	VPADDW  Y1, Y0, Y0
	VMOVDQU Y0, (DI)
	VZEROUPPER
	RET
