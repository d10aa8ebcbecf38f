package openai

import (
	"bytes"
	"encoding/binary"
)

// leastByteRate is the fewest bytes that a second of speech takes: 6 kbit/s, the least of Opus (RFC 6716, section 2.1.1).
// AAC, MP3, Vorbis and FLAC need more. What is coded denser, which silence can be, is longer than is reserved here, and is
// charged when the answer says how long it was.
const leastByteRate = 750

// longestAudio bounds how long an audio file lasts, in milliseconds. Containers say how long they are, and can lie: so
// this is the length of the file at the least rate. Only for samples without compression the rate is read from the file,
// since a player has nothing else to play them by.
func longestAudio(file []byte) int64 { return millisOf(len(file), waveByteRate(file)) }

// millisOf is how long so many bytes last at a rate of bytes a second, rounded up.
func millisOf(length int, rate int64) int64 { return (int64(length)*1000 + rate - 1) / rate }

// The formats of WAVE samples without compression.
const (
	wavePCM        = 1
	waveFloat      = 3
	waveExtensible = 0xfffe // says one of the two in its sub-format
)

// waveByteRate reads the rate of a WAVE file of samples. Three fields of its head tell it, and the lowest counts. A head
// that could be read in two ways tells nothing; it, and all other files, have the least rate.
func waveByteRate(file []byte) int64 {
	const header, chunk, format = 12, 8, 16
	if len(file) < header+chunk+format || string(file[:4]) != "RIFF" || string(file[8:16]) != "WAVEfmt " {
		return leastByteRate
	}
	size := int64(binary.LittleEndian.Uint32(file[16:]))
	f := file[header+chunk:]
	next := header + chunk + size
	if size < format || size > 64 || next > int64(len(file)) || bytes.Contains(file[next:], []byte("fmt ")) {
		return leastByteRate
	}
	kind := binary.LittleEndian.Uint16(f)
	if kind == waveExtensible && size >= 40 {
		kind = binary.LittleEndian.Uint16(f[24:])
	}
	if kind != wavePCM && kind != waveFloat {
		return leastByteRate
	}
	channels, rate := int64(binary.LittleEndian.Uint16(f[2:])), int64(binary.LittleEndian.Uint32(f[4:]))
	said, align := int64(binary.LittleEndian.Uint32(f[8:])), int64(binary.LittleEndian.Uint16(f[12:]))
	bits := int64(binary.LittleEndian.Uint16(f[14:]))
	return max(min(said, rate*align, rate*channels*bits/8), 1)
}
