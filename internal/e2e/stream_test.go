package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// stream is an answer that is read piece by piece.
type stream struct {
	t        testing.TB
	conn     net.Conn
	body     *bufio.Reader
	header   http.Header
	exchange string
	seen     strings.Builder
}

// open makes a call whose answer must be an event stream, and reads its head.
func (w *world) open(c call) *stream {
	w.t.Helper()
	conn := w.dial()
	if _, err := conn.Write(c.bytes()); err != nil {
		w.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("content-type"), "text/event-stream") {
		body, _ := io.ReadAll(res.Body)
		w.t.Fatalf("status %d, not an event stream: %s", res.StatusCode, body)
	}
	return &stream{t: w.t, conn: conn, body: bufio.NewReader(res.Body), header: res.Header, exchange: res.Header.Get("x-plumbline-request-id")}
}

// until reads up to the line that holds text, and gives what it read.
func (s *stream) until(text string) string {
	s.t.Helper()
	var read strings.Builder
	for {
		line, err := s.body.ReadString('\n')
		read.WriteString(line)
		s.seen.WriteString(line)
		if strings.Contains(line, text) {
			return read.String()
		}
		if err != nil {
			s.t.Fatalf("the stream ended (%v) before %q: %q", err, text, s.seen.String())
		}
	}
}

// rest reads to the end. The error is nil only for a stream that ended in order.
func (s *stream) rest() (string, error) {
	read, err := io.ReadAll(s.body)
	s.seen.Write(read)
	return string(read), err
}

// close hangs up.
func (s *stream) close() { s.conn.Close() }
