package app

import (
	"context"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// ledger is the quota ledger of an App, and what its metrics show of it.
type ledger interface {
	quota.Ledger
	ReservedTokens() int64
	Overruns() uint64
}

// timedLedger measures each operation of a ledger.
type timedLedger struct {
	ledger  quota.Ledger
	metrics *telemetry.Metrics
}

var _ quota.Ledger = timedLedger{}

func (t timedLedger) took(op telemetry.LedgerOp, since time.Time) {
	t.metrics.LedgerTook(op, time.Since(since))
}

func (t timedLedger) Reserve(ctx context.Context, r quota.Request) (quota.Reservation, error) {
	defer t.took(telemetry.LedgerReserve, time.Now())
	return t.ledger.Reserve(ctx, r)
}

func (t timedLedger) Extend(ctx context.Context, id string, to quota.Amounts) (quota.Reservation, error) {
	defer t.took(telemetry.LedgerExtend, time.Now())
	return t.ledger.Extend(ctx, id, to)
}

func (t timedLedger) Touch(ctx context.Context, progress ...quota.Progress) error {
	defer t.took(telemetry.LedgerTouch, time.Now())
	return t.ledger.Touch(ctx, progress...)
}

func (t timedLedger) Settle(ctx context.Context, id string, used quota.Amounts) (quota.Amounts, error) {
	defer t.took(telemetry.LedgerSettle, time.Now())
	return t.ledger.Settle(ctx, id, used)
}

func (t timedLedger) Void(ctx context.Context, id string) error {
	defer t.took(telemetry.LedgerVoid, time.Now())
	return t.ledger.Void(ctx, id)
}

func (t timedLedger) Expire(ctx context.Context, now time.Time) ([]string, error) {
	defer t.took(telemetry.LedgerExpire, time.Now())
	return t.ledger.Expire(ctx, now)
}

func (t timedLedger) Standings(
	ctx context.Context, s quota.Subject, limits *quota.LimitSet, at time.Time,
) ([]quota.Standing, error) {
	defer t.took(telemetry.LedgerStandings, time.Now())
	return t.ledger.Standings(ctx, s, limits, at)
}
