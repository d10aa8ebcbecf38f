package judge

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/wait"
)

const (
	// attempts is how often one question is put, and firstPause how long it is waited after the first failure: four times
	// as long after each further one.
	attempts   = 3
	firstPause = time.Second
	// mostPause is how long it is waited within one question at most. A server that asks for more has it all stop.
	mostPause = 10 * time.Second
	// mostAfter bounds what a server can ask for.
	mostAfter = time.Hour
	maxHeader = 16 << 10
)

// Options are what a judge is made of. URL, Model, PerMinute and Timeout are required.
type Options struct {
	// URL is the base of the API, such as https://api.openai.com/v1. Over plain HTTP it must be of this machine.
	URL   string
	Model string
	// Key gives the credential each time; if nil or empty, none is sent.
	Key func() string
	// PerMinute is how many requests are sent at most, attempts counted, evenly spread.
	PerMinute int
	// Timeout bounds one attempt as a whole.
	Timeout time.Duration
	// Asked, if set, is told how each question ended, and what all of its attempts took.
	Asked func(Result, time.Duration)
}

// Judge asks one model. It is safe for concurrent use.
type Judge struct {
	o        Options
	endpoint string
	http     *http.Client
	pace     pace
	pauses   func(attempt int) time.Duration // pauseAfter
}

// New checks the options. It connects to nothing.
func New(o Options) (*Judge, error) {
	if err := CheckURL(o.URL); err != nil {
		return nil, err
	}
	if o.Model == "" || o.PerMinute < 1 || o.Timeout <= 0 {
		return nil, errors.New("judge: a model, a rate and a time are needed")
	}
	if o.Asked == nil {
		o.Asked = func(Result, time.Duration) {}
	}
	if o.Key == nil {
		o.Key = func() string { return "" }
	}
	return &Judge{
		o: o, endpoint: strings.TrimRight(o.URL, "/") + "/chat/completions", pace: pace{gap: time.Minute / time.Duration(o.PerMinute)}, pauses: pauseAfter,
		http: &http.Client{
			// A redirect would take a prompt somewhere else than where it was allowed to go.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
				DisableCompression:     true, // what is read is bounded as it was sent
				MaxResponseHeaderBytes: maxHeader,
				IdleConnTimeout:        time.Minute,
			},
		},
	}, nil
}

// CheckURL reports why a URL cannot be that of a judge. Its words do not quote it.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must be a URL such as https://api.openai.com/v1")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return errors.New("must not hold a user, a password, a query or a fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("must begin with https://: over plain HTTP prompts may go to this machine alone")
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Ask puts a question, up to attempts times. An error is an *Error, or that of ctx.
func (j *Judge) Ask(ctx context.Context, q Question) (Answer, error) {
	begin := time.Now()
	a, err := j.ask(ctx, q)
	var bad *Error
	switch {
	case err == nil:
		j.o.Asked(a.Verdict.result(), time.Since(begin))
	case ctx.Err() != nil: // whatever it made fail says nothing of the judge
		return Answer{}, ctx.Err()
	case errors.As(err, &bad):
		j.o.Asked(bad.Result, time.Since(begin))
	}
	return a, err
}

func (j *Judge) ask(ctx context.Context, q Question) (Answer, error) {
	body := requestOf(j.o.Model, q)
	for attempt := 1; ; attempt++ {
		if err := j.pace.wait(ctx); err != nil {
			return Answer{}, err
		}
		answer, err := j.once(ctx, body)
		var bad *Error
		if err == nil || !errors.As(err, &bad) || !bad.again() || attempt == attempts || bad.After > mostPause {
			return answer, err
		}
		if err := wait.For(ctx, max(j.pauses(attempt), bad.After)); err != nil {
			return Answer{}, err
		}
	}
}

// pauseAfter is how long it is waited after a number of attempts.
func pauseAfter(attempt int) time.Duration {
	pause := firstPause
	for range attempt - 1 {
		pause = min(4*pause, mostPause)
	}
	return wait.Jitter(pause)
}

// once is one attempt.
func (j *Judge) once(ctx context.Context, body []byte) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, j.o.Timeout)
	defer cancel()
	status, header, data, err := j.send(ctx, body)
	if err != nil {
		return Answer{}, err
	}
	if status != http.StatusOK {
		return Answer{}, refused(status, header)
	}
	return parseAnswer(data)
}
