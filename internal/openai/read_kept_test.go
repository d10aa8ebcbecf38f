package openai

import (
	"bytes"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
)

// A reader is kept for the next request: nothing of a prompt, nor of a document that was broken off, may be left in it.
func TestAReaderThatIsKeptHoldsNothing(t *testing.T) {
	for _, body := range []string{
		`{"a\u0062":[{"deep":"secret\nwords"}],"c":"more \"of them\""}`,
		`{"a":{"b":{"c":"secret\twords`,
		`{"a":1,"a":"secret\n"}`,
	} {
		r := newReader([]byte(body))
		var e *core.Error
		if e = r.strings(func([]byte) {}); e == nil {
			e = r.end()
		}
		r.wipe()
		if r.body != nil || r.fault != "" || r.started || r.at != 0 || len(r.levels)+len(r.names) > 0 {
			t.Errorf("%s (%v): something of its state is left", body, e)
		}
		for _, n := range r.names[:cap(r.names)] {
			if n != nil {
				t.Errorf("%s: the name %q is left", body, n)
			}
		}
		for _, l := range r.levels[:cap(r.levels)] {
			if l.name != nil || l.many != nil {
				t.Errorf("%s: a level is left: %q", body, l.name)
			}
		}
		if left := bytes.Trim(r.scratch[:cap(r.scratch)], "\x00"); len(left) > 0 {
			t.Errorf("%s: the text %q is left", body, left)
		}
	}
}
