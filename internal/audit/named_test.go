package audit_test

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// TestNamedRefusals compares with a count on paper: no refusal is lost or told twice, nobody has more than one record of
// their own and one sum for each reason in a span, whatever credentials and networks they call from, and a flood of some
// never costs more than the bounds.
func TestNamedRefusals(t *testing.T) {
	const most = 3
	rapid.Check(t, func(rt *rapid.T) {
		var log memory
		r := audit.NewRefusals(&log, audit.RefusalOptions{Every: time.Hour, MaxKeys: most, MaxNamed: most})
		defer func() { // a sequence may be given up on its way
			if err := r.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		made, own, sums := map[core.Reason]int64{}, map[core.Reason]int64{}, map[core.Reason]int64{}
		firsts := map[refused]bool{} // of this span
		flush := func() {
			if err := r.Flush(t.Context()); err != nil {
				rt.Fatal(err)
			}
			seen := map[refused]bool{}
			named, others := 0, 0
			for _, rec := range log.records {
				who := refused{rec.Reason, rec.Principal.User, rec.Principal.App}
				switch {
				case rec.Principal.IsZero():
					others++
				case seen[who]:
					rt.Fatalf("two sums of %+v", who)
				default:
					named++
				}
				seen[who] = true
				sums[rec.Reason] += rec.Refusals.Count
			}
			reasons := len(made)
			if named > most || others > most+reasons {
				rt.Fatalf("%d sums that name somebody and %d others", named, others)
			}
			log.records = nil
			clear(firsts)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"named": func(rt *rapid.T) {
				who := refused{someReason.Draw(rt, "reason"), someUser.Draw(rt, "user"), "app"}
				p := core.Principal{User: who.user, App: who.app, Credential: someUser.Draw(rt, "credential"), Method: core.MethodToken}
				first := r.AddNamed(who.reason, p, someSource.Draw(rt, "source"), time.Now())
				if first && firsts[who] {
					rt.Fatalf("%+v is the first twice", who)
				}
				made[who.reason]++
				if first {
					firsts[who] = true
					own[who.reason]++
				}
				if len(firsts) > most {
					rt.Fatalf("%d records of their own in a span", len(firsts))
				}
			},
			"anonymous": func(rt *rapid.T) {
				reason := someReason.Draw(rt, "reason")
				r.Add(reason, "", someSource.Draw(rt, "source"), time.Now())
				made[reason]++
			},
			"flush": func(*rapid.T) { flush() },
		})
		flush()
		for reason, n := range made {
			if own[reason]+sums[reason] != n {
				rt.Fatalf("%s: %d of their own and %d in sums, of %d", reason, own[reason], sums[reason], n)
			}
		}
	})
}

// refused is what a sum is of.
type refused struct {
	reason    core.Reason
	user, app string
}

var (
	someReason = rapid.SampledFrom([]core.Reason{core.ReasonRevokedCredential, core.ReasonUserBlocked})
	someUser   = rapid.SampledFrom([]string{"ann", "ben", "cid", "dan", "eve", "fay"})
	someSource = rapid.SampledFrom([]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1"), {}})
)

// A sum that cannot be recorded is kept, under its name, and the network of a sum is only one where all were of it.
func TestNamedRefusalsThatCannotBeRecorded(t *testing.T) {
	var log memory
	r := audit.NewRefusals(&log, audit.RefusalOptions{Every: time.Hour})
	ann := core.Principal{User: "ann"}
	add := func(source string) bool {
		return r.AddNamed(core.ReasonUserBlocked, ann, netip.MustParseAddr(source), time.Now())
	}
	if !add("192.0.2.1") || add("192.0.2.2") {
		t.Error("the first is not the first, or the second is")
	}
	log.setFail(audit.ErrDuplicate)
	if err := r.Flush(t.Context()); err == nil {
		t.Error("no error of a log that fails")
	}
	log.setFail(nil)
	add("198.51.100.1")
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(log.records) != 1 {
		t.Fatalf("%d records", len(log.records))
	}
	rec := log.records[0]
	if rec.Principal != ann || rec.Refusals.Count != 2 || rec.Refusals.Network != "other" {
		t.Errorf("%+v of %+v", rec.Refusals, rec.Principal)
	}
}
