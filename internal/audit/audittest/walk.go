package audittest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/core"
)

// walk gives what Walk gives, checked and decoded.
func walk(t fataler, r read.Reader, q audit.Query) (all []audit.Entry) {
	t.Helper()
	err := r.Walk(context.Background(), q, func(raw audit.Raw) error {
		e := audit.Entry{Writer: raw.Writer, Seq: raw.Seq, Leaf: raw.Leaf, Canonical: slices.Clone(raw.Canonical)}
		var err error
		if e.Record, err = audit.Decode(raw.Canonical); err != nil {
			return err
		}
		if e.Leaf != audit.LeafHash(raw.Canonical, raw.Writer, raw.Seq) || e.Record.Kind != raw.Kind {
			t.Errorf("number %d of %s is not what it says", raw.Seq, raw.Writer)
		}
		all = append(all, e)
		return nil
	})
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	return all
}

func walkAgrees(t *testing.T, fresh Recorder) {
	const records = 2500
	record, r, _ := filled(t, fresh, records)
	newest := pages(t, r, audit.Query{Limit: 1000}, nil)
	slices.Reverse(newest)
	rapid.Check(t, func(rt *rapid.T) {
		q := anyQuery(rt, records)
		q.After = "nonsense" // does not count
		var want []string
		for i := range newest {
			if matches(&q, &newest[i].Record) {
				want = append(want, id(&newest[i]))
			}
		}
		if got := ids(walk(rt, r, q)); !slices.Equal(want, got) {
			rt.Errorf("%+v\nwant %v\ngot  %v", q, want, got)
		}
	})
	// What comes in meanwhile is not given, early or late as its time may be.
	n := 0
	err := r.Walk(t.Context(), audit.Query{}, func(audit.Raw) error {
		if n++; n%1000 != 1 {
			return nil
		}
		rec := varied(records + n)
		rec.Time = rec.Time.Add(time.Duration(n%2000-1) * time.Second)
		return record(n/1000%2, rec)
	})
	if err != nil || n != records {
		t.Errorf("%d records, want %d: %v", n, records, err)
	}
	var kinds int
	err = r.Records(t.Context(), start, start.Add(time.Minute), func(kind core.RecordKind, canonical []byte) error {
		rec, err := audit.Decode(canonical)
		if err == nil && (rec.Kind != kind || rec.Time.Before(start) || !rec.Time.Before(start.Add(time.Minute))) {
			err = fmt.Errorf("%s of %s", rec.Kind, rec.Time)
		}
		kinds++
		return err
	})
	if err != nil || kinds == 0 {
		t.Errorf("%d records of a minute: %v", kinds, err)
	}
}

func walkEnds(t *testing.T, fresh Recorder) {
	_, r, _ := filled(t, fresh, 20)
	enough, n := errors.New("enough"), 0
	err := r.Walk(t.Context(), audit.Query{}, func(audit.Raw) error {
		n++
		return enough
	})
	if !errors.Is(err, enough) || n != 1 {
		t.Errorf("after %d records: %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = r.Walk(ctx, audit.Query{}, func(audit.Raw) error {
		cancel()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}

func follows(t *testing.T, fresh Recorder) {
	const before, during = 300, 250
	record, r, _ := filled(t, fresh, before)
	run, err := r.Follow(t.Context())
	must(t, err)
	recorded := make(chan error, 1)
	go func() {
		var err error
		for i := before; i < before+during && err == nil; i += 25 {
			var batch []core.Record
			for j := range 25 {
				rec := varied(i + j)
				if j == 7 {
					rec.Time = rec.Time.AddDate(0, -2, 0) // of a clock that was wrong, or shipped late
				}
				batch = append(batch, rec)
			}
			err = record(i/25%2, batch...)
		}
		recorded <- err
	}()
	enough := errors.New("enough")
	last, n := map[string]uint64{}, 0
	err = run(func(e audit.Entry) error {
		if seen, ok := last[e.Writer]; ok && e.Seq != seen+1 {
			return fmt.Errorf("number %d after %d of %s", e.Seq, seen, e.Writer)
		}
		last[e.Writer] = e.Seq
		if n++; n == during {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("after %d: %v", n, err)
	}
	must(t, <-recorded)
	ctx, cancel := context.WithCancel(t.Context())
	run, err = r.Follow(ctx)
	must(t, err)
	cancel()
	if err := run(func(e audit.Entry) error { return fmt.Errorf("%d came again", e.Seq) }); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func sumsAgree(t *testing.T, fresh Recorder) {
	const records = 1200
	_, r, _ := filled(t, fresh, records)
	all := ship.Rollup{}
	open := map[string]*core.Record{}
	for _, e := range walk(t, r, audit.Query{}) {
		rec := e.Record
		if rec.Kind == core.RecordIntent {
			open[rec.Exchange] = &rec
		}
	}
	for _, e := range walk(t, r, audit.Query{}) {
		all.Add(&audit.Shipment{Entry: e, Opening: open[e.Record.Exchange]})
	}
	end := varied(records).Time
	rapid.Check(t, func(rt *rapid.T) {
		or := func(label string, values ...string) string {
			return rapid.SampledFrom(append(values, "", "", "")).Draw(rt, label)
		}
		q := read.SumQuery{
			User: or("user", "ada", "eve"), Team: or("team", "red"), App: or("app", "ide"), Model: or("model", "gpt-4o"),
			Intent: or("intent", "banking"), Verdict: or("verdict", "block", "allow"), Limit: rapid.SampledFrom([]int{0, 0, 3}).Draw(rt, "limit"),
		}
		q.By = rapid.SliceOfNDistinct(rapid.SampledFrom(read.Dimensions()[1:]), 0, 4, rapid.ID).Draw(rt, "by")
		if rapid.IntRange(0, 3).Draw(rt, "hours?") == 0 && !q.ByTime() {
			q.By = append(q.By, read.ByHour)
		}
		q.Since = start.Add(rapid.SampledFrom([]time.Duration{-72 * time.Hour, 0, 80 * time.Minute, 90 * time.Minute}).Draw(rt, "since"))
		q.Until = end.Add(rapid.SampledFrom([]time.Duration{0, time.Hour, 72 * time.Hour, -30 * time.Minute}).Draw(rt, "until"))
		if q.Check() != nil {
			return
		}
		got, err := r.Sum(context.Background(), q)
		if err != nil {
			rt.Fatalf("%+v: %v", q, err)
		}
		want := q.Collect(all)
		if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
			rt.Errorf("%+v (-want +got):\n%s", q, diff)
		}
	})
}

func badSums(t *testing.T, fresh Recorder) {
	_, r := fresh(t)
	for _, q := range []read.SumQuery{
		{},
		{Since: start},
		{Since: start, Until: start},
		{Since: start, Until: start.Add(time.Hour), By: []read.Dimension{"credential"}},
		{Since: start, Until: start.Add(time.Hour), By: []read.Dimension{read.ByUser, read.ByUser}},
		{Since: start, Until: start.Add(time.Hour), By: []read.Dimension{read.ByHour, read.ByDay}},
	} {
		if rows, err := r.Sum(t.Context(), q); err == nil {
			t.Errorf("%+v: %d rows", q, len(rows))
		}
	}
}
