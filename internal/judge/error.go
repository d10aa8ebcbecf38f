package judge

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Result is how a question ended, as the metric's label names it.
type Result string

// The results.
const (
	Proposed  Result = "proposed" // on task, or off it
	Undecided Result = "unsure"   // the judge answered that it cannot tell
	Unusable  Result = "unusable" // the answer is not of the form that was asked for
	Refused   Result = "refused"  // the server will not answer this, however often it is asked
	Limited   Result = "limited"  // too much was asked
	Failed    Result = "failed"   // no answer, or an error of the server
)

// Results lists every result.
func Results() []Result {
	return []Result{Proposed, Undecided, Unusable, Refused, Limited, Failed}
}

// Error says why there is no answer, in words of Plumbline's own: what a server sends may hold a prompt.
type Error struct {
	Result Result
	// Status is that of the answer, 0 for none.
	Status int
	// After is how long the server wants to be left alone, 0 if it did not say.
	After time.Duration
	words string
}

func (e *Error) Error() string {
	s := "the judge " + e.words
	if e.Status != 0 {
		s += " (status " + strconv.Itoa(e.Status) + ")"
	}
	return s
}

// again reports whether another attempt makes sense.
func (e *Error) again() bool { return e.Result == Limited || e.Result == Failed }

// refused is what another status than 200 says.
func refused(status int, header http.Header) *Error {
	e := &Error{Status: status}
	switch {
	case status == http.StatusTooManyRequests:
		e.Result, e.After = Limited, retryAfter(header, time.Now())
		e.words = "says that too much is asked: lower calibration.judge.per_minute, or look at what the account may use"
	case status >= http.StatusInternalServerError || status == http.StatusRequestTimeout:
		e.Result, e.After = Failed, retryAfter(header, time.Now())
		e.words = "has a fault of its own"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		e.Result, e.words = Refused, "does not take the credential: look at calibration.judge.key"
	case status == http.StatusNotFound || status >= 300 && status < 400:
		e.Result, e.words = Refused, "is not there: look at calibration.judge.url and calibration.judge.model"
	default:
		e.Result, e.words = Refused, "does not take the request: it has to know chat completions with a json_schema as response_format"
	}
	return e
}

// retryAfter reads the header of that name (RFC 9110 §10.2.3), 0 for none that can be read.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, mostAfter)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), mostAfter)
}

// unreached is what a failed exchange says. The error itself may quote what a server sent.
func unreached(err error) *Error {
	e := &Error{Result: Failed, words: "broke off"}
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.words = "did not answer within calibration.judge.timeout"
	case errors.As(err, &certificate):
		e.words = "has a certificate that cannot be verified"
	case errors.As(err, &network) && network.Op == "dial":
		e.words = "cannot be reached: " + network.Err.Error() // of the resolver or the system
	}
	return e
}

// unusable is an answer that is none.
func unusable(why string) *Error {
	return &Error{Result: Unusable, words: "gave an answer that " + why}
}
