// Package embed turns words into vectors that are near where meanings are near: a table of rows, learnt offline from a
// sentence encoder, of which a text's vector is the normalised sum.
//
// A word is cut into pieces of a fixed vocabulary. Each piece has a row, and so has each of the most frequent pairs of
// adjacent pieces. tools/train makes the table; MODEL.md says from what. A table is one file with a version and a digest,
// so that any other of the same format can take its place.
//
// All work is bounded by the length of the text, and none of it allocates once buffers have grown. The package knows
// nothing of prompts or tasks. Of Plumbline it imports hugepage and wholefile.
package embed
