package openai

import (
	"compress/gzip"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxDecoded bounds an answer after decompression, and maxDecodedStream a stream of events, in bytes.
	maxDecoded       = 16 << 20
	maxDecodedStream = 256 << 20
	// maxWindow bounds what a decoder looks back on, in bytes: as much as RFC 9659 allows zstd on the web.
	maxWindow = 8 << 20
	// decodedPiece is how much is decompressed at a time, in bytes.
	decodedPiece = 16 << 10
)

// decoderOf gives the reader of a content encoding, nil for one that is not known.
func decoderOf(contentEncoding string) func(io.Reader) (io.ReadCloser, error) {
	switch strings.ToLower(strings.TrimSpace(contentEncoding)) {
	case "gzip", "x-gzip":
		return func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }
	case "br":
		return func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(brotli.NewReader(r)), nil }
	case "zstd":
		return func(r io.Reader) (io.ReadCloser, error) {
			d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, err
			}
			return d.IOReadCloser(), nil
		}
	}
	return nil
}

// inflater decompresses an answer piece by piece. The decoders want to read; here pieces come when they come. So each runs
// as a coroutine that is left where it wants to read on, and resumed there with the next piece: nothing is decompressed
// twice, and no goroutine runs beside the exchange.
type inflater struct {
	next  func() ([]byte, bool)
	stop  func()
	in    []byte
	last  bool // no piece follows
	ended bool // decompressed to its end
	left  int  // bytes that may still come out
}

// newInflater gives nil for an encoding that is not known.
func newInflater(contentEncoding string, isStream bool) *inflater {
	open := decoderOf(contentEncoding)
	if open == nil {
		return nil
	}
	f := &inflater{left: maxDecoded}
	if isStream {
		f.left = maxDecodedStream
	}
	f.next, f.stop = iter.Pull(f.pieces(open))
	return f
}

// close ends the coroutine.
func (f *inflater) close() { f.stop() }

// write takes a piece and hands on what it decompresses to. It is false when that cannot be done, or is more than may be.
func (f *inflater) write(piece []byte, last bool, sink func(plain []byte)) bool {
	f.in, f.last = piece, last
	for {
		plain, ok := f.next()
		switch {
		case !ok:
			return f.ended
		case plain == nil:
			return true
		case len(plain) > f.left:
			f.stop()
			return false
		}
		f.left -= len(plain)
		sink(plain)
	}
}

// errStopped ends a decoder that is not to read on.
var errStopped = errors.New("openai: no more is read")

// pieces yields what a decoder gives, and nil where it waits for the next piece.
func (f *inflater) pieces(open func(io.Reader) (io.ReadCloser, error)) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		from := &pieceReader{inflater: f, yield: yield}
		r, err := open(from)
		if err != nil {
			return
		}
		defer r.Close()
		out := make([]byte, decodedPiece)
		for {
			n, err := r.Read(out)
			if n > 0 && (from.stopped || !yield(out[:n])) {
				return
			}
			if err != nil {
				f.ended = errors.Is(err, io.EOF)
				return
			}
		}
	}
}

// pieceReader gives a decoder the piece at hand, and waits for the next one when that is used up.
type pieceReader struct {
	*inflater
	yield   func([]byte) bool
	stopped bool
}

func (r *pieceReader) wait() error {
	for len(r.in) == 0 {
		switch {
		case r.last:
			return io.EOF
		case r.stopped || !r.yield(nil):
			r.stopped = true
			return errStopped
		}
	}
	return nil
}

// Read implements io.Reader.
func (r *pieceReader) Read(p []byte) (int, error) {
	if err := r.wait(); err != nil {
		return 0, err
	}
	n := copy(p, r.in)
	r.in = r.in[n:]
	return n, nil
}

// ReadByte implements io.ByteReader, which keeps decoders from reading ahead.
func (r *pieceReader) ReadByte() (byte, error) {
	if err := r.wait(); err != nil {
		return 0, err
	}
	b := r.in[0]
	r.in = r.in[1:]
	return b, nil
}
