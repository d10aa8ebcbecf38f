package gate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/quota"
)

// recording is the form of a transcription of so many bytes of audio, with a prompt.
func recording(bytes int) []byte {
	return []byte(strings.Join([]string{
		"--XX", `Content-Disposition: form-data; name="model"`, "", "whisper-1",
		"--XX", `Content-Disposition: form-data; name="prompt"`, "", question,
		"--XX", `Content-Disposition: form-data; name="file"; filename="a.mp3"`, "Content-Type: audio/mpeg", "", strings.Repeat("~", bytes),
		"--XX--", "",
	}, "\r\n"))
}

func formHead() gate.Head {
	head := chatHead()
	head.Path, head.ContentType = "/v1/audio/transcriptions", "multipart/form-data; boundary=XX"
	return head
}

// cents is a limit on a user's cost, in micro-dollars a day.
func cents(value int64) quota.Limit {
	return quota.Limit{ID: "money", Scope: quota.ScopeUser, Dimension: quota.DimensionCost, Window: quota.WindowDay, Value: value}
}

// Audio that is paid by the minute is reserved by its length before it is forwarded, and charged as the answer says. The
// form itself is forwarded as it came.
func TestAnAudioIsReservedByItsLength(t *testing.T) {
	const minute = 60 * 750 // bytes, at the least rate
	w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{cents(6100)}})
	x, reply := w.Gate.Open(t.Context(), formHead())
	if reply != nil {
		t.Fatalf("%d %s", reply.Status, reply.Body)
	}
	admission, reply := x.Admit(t.Context(), recording(minute))
	if reply != nil {
		t.Fatalf("%d %s", reply.Status, reply.Body)
	}
	if admission.Body != nil {
		t.Errorf("the form was rewritten: %q", admission.Body)
	}
	intent := w.Record(t, core.RecordIntent)
	if intent.Reserved.Cost < 6000 || !slices.Equal(intent.Opaque, []string{"audio/mpeg"}) || intent.Model != "whisper-1" {
		t.Errorf("reserved %s for %s %v", intent.Reserved.Cost, intent.Model, intent.Opaque)
	}
	answers(t, x, jsonType)
	observed(t, x, []byte(`{"text":"All is well.","usage":{"type":"duration","seconds":10}}`), true)
	if rec := w.Record(t, core.RecordOutcome); rec.Settled.Cost != 1000 || rec.Usage.AudioMillis != 10_000 {
		t.Errorf("ten seconds cost %s: %+v", rec.Settled.Cost, *rec.Usage)
	}
	quiet(t, w)

	// The limit has room for 51 seconds more, and no parameter of a form could make the audio cost less.
	x, _ = w.Gate.Open(t.Context(), formHead())
	_, reply = x.Admit(t.Context(), recording(minute))
	refusedWith(t, reply, 429, core.ReasonQuotaExhausted)
}

// A form that two readers could read differently is refused before anything is reserved.
func TestAnAmbiguousFormIsRefused(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	twice := strings.Replace(string(recording(10)), `name="prompt"`, `name="prompt"; name="model"`, 1)
	x, _ := w.Gate.Open(t.Context(), formHead())
	_, reply := x.Admit(t.Context(), []byte(twice))
	refusedWith(t, reply, 400, core.ReasonInvalidBody)

	head := formHead()
	head.ContentType += ", multipart/form-data; boundary=YY"
	_, reply = w.Gate.Open(t.Context(), head)
	refusedWith(t, reply, 415, core.ReasonUnsupportedMediaType)
	quiet(t, w)
}
