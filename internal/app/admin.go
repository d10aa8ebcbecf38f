package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/redis"
)

const (
	lookPath   = "/quota/look"
	mendPath   = "/quota/mend"
	epochPath  = "/quota/epoch"
	maxMended  = 10_000 // counters that one question may mend
	maxRefusal = 4 << 10
)

// lookAnswer is how limits stand at one moment in the memory of the process that serves, and what of the records is in them.
type lookAnswer struct {
	Instance  string             `json:"instance"`
	At        time.Time          `json:"at"`
	Standings [][]quota.Standing `json:"standings"`
	posted
}

// mendQuestion asks to add to what is posted, in the name of somebody.
type mendQuestion struct {
	Actor    string       `json:"actor"`
	Instance string       `json:"instance"` // that was looked at
	Add      []correction `json:"add"`
}

// correction is an amount to add to the window of a limit's counter that a subject met at a time.
type correction struct {
	Limit   string        `json:"limit"`
	Subject quota.Subject `json:"subject"`
	At      time.Time     `json:"at"`
	Amount  int64         `json:"amount"` // may be below zero
}

type epochQuestion struct {
	Actor string `json:"actor"`
}

type mendAnswer struct {
	Mended int `json:"mended"`
}

// repairer compares and mends the ledger of the process that serves. One of adopter and shared is nil.
type repairer struct {
	asker
	endings *endings
	adopter *adopter
	shared  *redis.Ledger
	record  func(context.Context, core.Record) error
	now     func() time.Time
}

func (r repairer) handle(mux *http.ServeMux) {
	mux.HandleFunc("POST "+standingsPath, answer(r.standings))
	if r.adopter != nil {
		mux.HandleFunc("POST "+lookPath, answer(r.look))
		mux.HandleFunc("POST "+mendPath, answer(r.mend))
	}
	if r.shared != nil {
		mux.HandleFunc("POST "+epochPath, answer(r.beginEpoch))
	}
}

// errQuestion refuses what no command of this version asks.
var errQuestion = errors.New("not a question of this version")

// answer reads a question, and writes what act gives.
func answer[Q, A any](act func(context.Context, Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&q); err != nil {
			http.Error(w, errQuestion.Error(), http.StatusBadRequest)
			return
		}
		a, err := act(r.Context(), q)
		if err != nil {
			status := http.StatusServiceUnavailable
			if errors.Is(err, errQuestion) {
				status = http.StatusBadRequest
			}
			http.Error(w, err.Error(), status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a) // whoever asked may be gone
	}
}

func (r repairer) look(ctx context.Context, q standingsQuestion) (lookAnswer, error) {
	if len(q.Subjects) > maxAsked {
		return lookAnswer{}, fmt.Errorf("%w: too many subjects", errQuestion)
	}
	if err := r.refresh(ctx); err != nil {
		return lookAnswer{}, err
	}
	a := lookAnswer{Instance: r.endings.instance}
	var err error
	a.posted, err = r.endings.look(ctx, func() error {
		return r.adopter.steady(ctx, func(limits *quota.LimitSet) (err error) {
			a.At = r.now()
			a.Standings, err = quota.AskLedger(r.adopter, limits, a.At)(ctx, q.Subjects...)
			return err
		})
	})
	return a, err
}

// mend adds to what is posted. What is on its way changes nothing in how much is wrong, so that nobody has to wait.
func (r repairer) mend(ctx context.Context, q mendQuestion) (mendAnswer, error) {
	switch {
	case q.Instance != r.endings.instance:
		return mendAnswer{}, errors.New("Plumbline was started again meanwhile, and so filled its ledger from the records")
	case len(q.Add) > maxMended:
		return mendAnswer{}, fmt.Errorf("%w: too many counters at once", errQuestion)
	}
	if err := r.recordRepair(ctx, q.Actor, "memory"); err != nil {
		return mendAnswer{}, err
	}
	limits, n := r.limits(), 0
	for _, c := range q.Add {
		for _, m := range limits.AppendMatches(nil, c.Subject, c.At) {
			if m.Limit.ID == c.Limit && r.adopter.Correct(m, c.At, c.Amount) {
				n++
			}
		}
	}
	return mendAnswer{n}, nil
}

// beginEpoch has every replica bring its records back.
func (r repairer) beginEpoch(ctx context.Context, q epochQuestion) (mendAnswer, error) {
	pulse, err := r.shared.Heartbeat(ctx)
	if err != nil {
		return mendAnswer{}, err
	}
	if err := r.recordRepair(ctx, q.Actor, "redis"); err != nil {
		return mendAnswer{}, err
	}
	var books []string
	for _, b := range pulse.Books {
		books = append(books, b.Name)
	}
	_, err = r.shared.BeginEpoch(ctx, pulse.Epoch.ID, books...)
	return mendAnswer{len(books)}, err
}

// recordRepair puts the repair into the audit before it is done.
func (r repairer) recordRepair(ctx context.Context, actor, kind string) error {
	return r.record(ctx, core.Record{
		Kind: core.RecordAdmin, Time: r.now().UTC(), Admin: &core.Change{Actor: actor, Action: "repair", Object: "quota-ledger/" + kind},
	})
}

// errNotRunning says that nobody answers on the admin socket.
var errNotRunning = errors.New("no Plumbline runs on this data directory")

// adminClient asks the process that serves a data directory.
type adminClient struct{ http *http.Client }

func newAdminClient(dataDir string) adminClient {
	return adminClient{&http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", AdminSocket(dataDir))
		}},
	}}
}

// ask sends a question and reads the answer. It returns errNotRunning when nobody listens.
func (c adminClient) ask(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	switch {
	case errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED):
		return errNotRunning
	case err != nil:
		return fmt.Errorf("asking the running Plumbline: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotFound {
		return errors.New("the running Plumbline does not know the question: it is of another version, or counts in another ledger than this configuration says")
	}
	if res.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
		return fmt.Errorf("the running Plumbline cannot say: %s", bytes.TrimSpace(why))
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer)) // whole: what was cut short is no answer
	if err == nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		return fmt.Errorf("asking the running Plumbline: %w", err)
	}
	return nil
}
