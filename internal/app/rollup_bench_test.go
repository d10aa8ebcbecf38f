package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/sqlite"
)

// BenchmarkStart is what a start owes to five million charges of 10,000 people in 30 days, under eight limits that count
// each of them: opening the audit and filling the ledger. "records" reads them all, "sums" has the file that a stop leaves,
// and "kill" one that lacks the last 100,000. The database is filled by SQL and holds charges only, since a start reads no
// records; PLUMBLINE_CHARGES sets how many.
func BenchmarkStart(b *testing.B) {
	charges := 5_000_000
	if s := os.Getenv("PLUMBLINE_CHARGES"); s != "" {
		if _, err := fmt.Sscan(s, &charges); err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	now := time.Now()
	fillCharges(b, dir, charges, now)
	limits := eightLimits(b)

	start := func(b *testing.B) *starter {
		s := &starter{b: b, dir: dir, limits: limits}
		s.start()
		return s
	}
	b.Run("records", func(b *testing.B) {
		for b.Loop() {
			if err := os.RemoveAll(filepath.Join(dir, "quota.sums")); err != nil {
				b.Fatal(err)
			}
			s := start(b)
			b.StopTimer()
			s.stop()
			b.StartTimer()
		}
	})
	b.Run("sums", func(b *testing.B) {
		for b.Loop() {
			s := start(b)
			b.StopTimer()
			b.ReportMetric(float64(s.roller.sums.Len()), "sums")
			s.stop()
			b.StartTimer()
		}
	})
	b.Run("kill", func(b *testing.B) {
		s := start(b)
		addCharges(b, dir, charges, 100_000, now)
		s.stopWithoutSaving()
		kept, err := os.ReadFile(filepath.Join(dir, "quota.sums"))
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			s := start(b)
			b.StopTimer()
			s.stop()
			if err := os.WriteFile(filepath.Join(dir, "quota.sums"), kept, 0o600); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}

// starter is the part of a Plumbline that is measured.
type starter struct {
	b      *testing.B
	dir    string
	limits *quota.LimitSet
	audit  *audit.Log
	roller *roller
	ledger *memory.Ledger
}

func (s *starter) start() {
	ctx := context.Background()
	var err error
	s.audit, err = audit.Open(ctx, audit.Options{
		Path: AuditPath(s.dir), Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 1 << 20,
	})
	if err != nil {
		s.b.Fatal(err)
	}
	if _, err := s.audit.Recover(ctx); err != nil {
		s.b.Fatal(err)
	}
	s.ledger = memory.New(memory.Options{})
	s.roller = &roller{audit: s.audit, path: filepath.Join(s.dir, "quota.sums"), now: time.Now, log: slog.New(slog.DiscardHandler)}
	if err := s.roller.fill(ctx, s.ledger, s.limits); err != nil {
		s.b.Fatal(err)
	}
}

func (s *starter) stop() {
	if err := s.roller.close(context.Background()); err != nil {
		s.b.Fatal(err)
	}
	s.stopWithoutSaving()
}

func (s *starter) stopWithoutSaving() {
	if err := s.audit.Close(context.Background()); err != nil {
		s.b.Fatal(err)
	}
}

// fillCharges makes an audit with so many charges before now.
func fillCharges(b *testing.B, dir string, charges int, now time.Time) {
	b.Helper()
	log, err := audit.Open(b.Context(), audit.Options{Path: AuditPath(dir), Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	if err := log.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	addCharges(b, dir, 0, charges, now)
}

// addCharges adds charges after those up to a position, as the audit's indexes would hold them, and the last record.
func addCharges(b *testing.B, dir string, after, charges int, now time.Time) {
	b.Helper()
	db, err := sqlite.Open(b.Context(), AuditPath(dir), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	end := after + charges
	from, step := now.UnixMicro()-(30*24*time.Hour).Microseconds(), (30*24*time.Hour).Microseconds()/int64(charges)
	if after > 0 {
		from, step = now.UnixMicro(), 1
	}
	for _, statement := range []string{
		fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO charges SELECT i, %d + (i - %d) * %d, printf('0199c3d2-7e1a-7000-8000-%%012d', i),
			'user-' || (i * 7919 %% 10000), 'team-' || (i * 7919 %% 100), 'ide', iif(i %% 3, 'gpt-5', 'gpt-5-mini'),
			1, 400 + i %% 100, 200 + i %% 77, 900 FROM n`, after+1, end, from, after, step),
		fmt.Sprintf(`INSERT INTO spans SELECT max(entry), min(entry), min(admitted), max(admitted), max(admitted) FROM charges
			WHERE entry > %d GROUP BY entry / 1024`, after),
		fmt.Sprintf(`UPDATE state SET value = %d WHERE name IN ('indexed', 'recovered')`, end),
		fmt.Sprintf(`INSERT INTO entries (id, writer, seq, leaf, time, kind, exchange, user, team, app, action, reason, model, record)
			VALUES (%d, 1, 1, randomblob(32), 0, 'outcome', '', '', '', '', '', '', '', x'')`, end),
	} {
		if _, err := db.ExecContext(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
}

// eightLimits are one on each person in each window and at once, and two more.
func eightLimits(b *testing.B) *quota.LimitSet {
	b.Helper()
	var limits []quota.Limit
	for _, w := range []quota.Window{quota.WindowMinute, quota.WindowHour, quota.WindowDay, quota.WindowWeek, quota.WindowMonth} {
		limits = append(limits, quota.Limit{
			ID: string(w), Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: w, Value: quota.MaxValue, Zone: "Asia/Kathmandu",
		})
	}
	limits = append(limits,
		quota.Limit{ID: "none", Scope: quota.ScopeUser, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 1000},
		quota.Limit{ID: "rpm", Scope: quota.ScopeUser, Dimension: quota.DimensionRequests, Window: quota.WindowMinute, Value: quota.MaxValue},
		quota.Limit{ID: "cost", Scope: quota.ScopeTeam, Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: quota.MaxValue, Zone: "Europe/Berlin"})
	set, err := quota.Compile(limits)
	if err != nil {
		b.Fatal(err)
	}
	return set
}
