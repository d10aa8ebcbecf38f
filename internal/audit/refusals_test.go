package audit_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// memory is a log that can fail.
type memory struct {
	mu      sync.Mutex
	fail    error
	records []core.Record
}

func (m *memory) Append(_ context.Context, rec core.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.records = append(m.records, rec)
	return nil
}

func (m *memory) setFail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// take gives the sums recorded since the last take, by reason, issuer and network.
func (m *memory) take(t *testing.T) map[string]core.Refusals {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	sums := map[string]core.Refusals{}
	for _, rec := range m.records {
		key := fmt.Sprintf("%s|%s|%s", rec.Reason, rec.Refusals.Issuer, rec.Refusals.Network)
		if _, double := sums[key]; double || rec.Kind != core.RecordRefusals {
			t.Errorf("unexpected record %+v", rec)
		}
		sums[key] = *rec.Refusals
	}
	m.records = nil
	return sums
}

func TestRefusalsAreSummed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log memory
		r := audit.NewRefusals(&log, audit.RefusalOptions{})
		begin := time.Now()
		add := func(reason core.Reason, issuer, source string) {
			var addr netip.Addr
			if source != "" {
				addr = netip.MustParseAddr(source)
			}
			r.Add(reason, issuer, addr, time.Now())
		}
		add(core.ReasonMissingCredential, "", "192.0.2.1")
		<-time.After(2 * time.Second)
		add(core.ReasonMissingCredential, "", "192.0.2.200")
		add(core.ReasonMissingCredential, "", "::ffff:192.0.2.3")
		add(core.ReasonMissingCredential, "", "192.0.3.1")
		add(core.ReasonMissingCredential, "", "2001:db8:1:2::3")
		add(core.ReasonMissingCredential, "", "2001:db8:1:ffff::4")
		add(core.ReasonMissingCredential, "", "fe80::1%eth0")
		add(core.ReasonMissingCredential, "", "")
		add(core.ReasonExpiredCredential, "https://idp.example", "192.0.2.1")
		if got := log.take(t); len(got) != 0 {
			t.Errorf("recorded before 10 s: %v", got)
		}
		<-time.After(8*time.Second + time.Millisecond)
		first, later := begin, begin.Add(2*time.Second)
		want := map[string]core.Refusals{
			"missing_credential||192.0.2.0/24":                    {Count: 3, First: first, Last: later, Network: "192.0.2.0/24"},
			"missing_credential||192.0.3.0/24":                    {Count: 1, First: later, Last: later, Network: "192.0.3.0/24"},
			"missing_credential||2001:db8:1::/48":                 {Count: 2, First: later, Last: later, Network: "2001:db8:1::/48"},
			"missing_credential||fe80::/48":                       {Count: 1, First: later, Last: later, Network: "fe80::/48"},
			"missing_credential||":                                {Count: 1, First: later, Last: later},
			"expired_credential|https://idp.example|192.0.2.0/24": {Count: 1, First: later, Last: later, Issuer: "https://idp.example", Network: "192.0.2.0/24"},
		}
		if diff := cmp.Diff(want, log.take(t)); diff != "" {
			t.Errorf("sums (-want +got):\n%s", diff)
		}

		// What cannot be recorded is kept and joined by what comes.
		log.setFail(errors.New("full"))
		add(core.ReasonInvalidCredential, "", "192.0.2.1")
		<-time.After(10 * time.Second)
		add(core.ReasonInvalidCredential, "", "192.0.2.1")
		log.setFail(nil)
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := log.take(t)["invalid_credential||192.0.2.0/24"]; got.Count != 2 || got.Last.Sub(got.First) != 10*time.Second {
			t.Errorf("after a failure: %+v", got)
		}
		if err := r.Close(t.Context()); err != nil || len(log.take(t)) != 0 {
			t.Errorf("closing again: %v", err)
		}
	})
}

func TestRefusalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log memory
		r := audit.NewRefusals(&log, audit.RefusalOptions{MaxKeys: 8})
		const flood = 5000
		for i := range flood {
			r.Add(core.ReasonMissingCredential, "", netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), time.Now())
		}
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		var total int64
		sums := log.take(t)
		for _, sum := range sums {
			total += sum.Count
		}
		if len(sums) != 9 || total != flood || sums["missing_credential||other"].Count != flood-8 {
			t.Errorf("%d sums of %d refusals: %v", len(sums), total, sums)
		}
	})
}

// stalled is a log whose disk answers after a time: a record that it has taken is written, whether or not its caller waits.
type stalled struct {
	memory
	takes time.Duration
}

func (s *stalled) Append(ctx context.Context, rec core.Record) error {
	written := make(chan error, 1)
	go func() {
		<-time.After(s.takes)
		written <- s.memory.Append(ctx, rec)
	}()
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestRefusalsAreSummedOnceOverAStalledDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &stalled{takes: 25 * time.Second}
		r := audit.NewRefusals(log, audit.RefusalOptions{})
		r.Add(core.ReasonMissingCredential, "", netip.MustParseAddr("192.0.2.7"), time.Now())
		<-time.After(2 * time.Minute)
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		sum := 0
		for _, rec := range log.records {
			sum += int(rec.Refusals.Count)
		}
		if sum != 1 {
			t.Errorf("1 refusal is in the records %d times", sum)
		}
	})
}
