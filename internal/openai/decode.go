package openai

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// decoderOf gives the reader of a content encoding, nil for one that is not known.
func decoderOf(contentEncoding string) func(io.Reader) (io.ReadCloser, error) {
	switch strings.ToLower(contentEncoding) {
	case "gzip", "x-gzip":
		return func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }
	case "br":
		return func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(brotli.NewReader(r)), nil }
	case "zstd":
		return func(r io.Reader) (io.ReadCloser, error) {
			d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDecoded))
			if err != nil {
				return nil, err
			}
			return d.IOReadCloser(), nil
		}
	}
	return nil
}

// maxDecoded bounds an answer after decompression, in bytes.
const maxDecoded = 16 << 20

// decoded gives what body holds under its encoding. More than maxDecoded bytes, or a body that does not decode to its
// end, is not ok; what did decode comes with it.
func decoded(contentEncoding string, body []byte) (plain []byte, ok bool) {
	open := decoderOf(contentEncoding)
	if open == nil {
		return nil, false
	}
	r, err := open(bytes.NewReader(body))
	if err != nil {
		return nil, false
	}
	defer r.Close()
	plain, err = io.ReadAll(io.LimitReader(r, maxDecoded+1))
	return plain, err == nil && len(plain) <= maxDecoded
}
