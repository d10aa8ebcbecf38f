package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/models"
	"github.com/plumbline/plumbline/internal/telemetry"
)

const (
	// modelEvery is how often it is looked which model is in use, and modelAgain after how long one that could not be read is
	// read again: that takes a table's worth of work.
	modelEvery, modelAgain = 2 * time.Second, time.Minute
)

// modelKeeper keeps the model in use that deviation.models notes, while the process runs. One that cannot be read changes nothing:
// the one before stays in use, and the log says so.
type modelKeeper struct {
	dir     models.Dir
	metrics *telemetry.Metrics
	now     func() time.Time
	log     *slog.Logger

	inUse   string    // the table's version
	refused string    // that could not be read; empty for none
	since   time.Time // when that was tried last
}

func newModelKeeper(c config.Deviation, inUse *embed.Table, metrics *telemetry.Metrics, log *slog.Logger) *modelKeeper {
	return &modelKeeper{dir: models.Dir(c.Models), metrics: metrics, now: time.Now, log: log, inUse: inUse.Version()}
}

// run has the model of people, and what is sampled of the traffic, follow what is noted until ctx ends.
func (k *modelKeeper) run(ctx context.Context, p *people, traffic *deviation.Traffic) error {
	return every(ctx, modelEvery, func() { k.look(ctx, p, traffic) })
}

func (k *modelKeeper) look(ctx context.Context, p *people, traffic *deviation.Traffic) {
	noted, err := k.dir.InUse()
	switch {
	case err != nil:
		k.refuse("", err)
		return
	case noted == k.inUse:
		k.refused = ""
		return
	case noted == k.refused && k.now().Sub(k.since) < modelAgain:
		return
	}
	scorer, table, err := scorerOf(k.dir)
	if err == nil {
		err = p.use(ctx, scorer)
	}
	if err != nil {
		if ctx.Err() == nil {
			k.refuse(noted, err)
		}
		return
	}
	traffic.Use(scorer)
	k.metrics.ModelInUse(scorer.Version(), table.Version())
	k.log.Info("another model is in use: nothing is calibrated but what was labelled with it", "model", scorer.Version(), "table", table.Version(), "before", k.inUse)
	k.inUse, k.refused = table.Version(), ""
}

// unread stands for a note that cannot be read, as what was refused.
const unread = "?"

// refuse notes why a model, or the note itself where it has no name, is not in use, and says so once.
func (k *modelKeeper) refuse(version string, err error) {
	if version == "" {
		version = unread
	}
	if k.refused != version {
		k.log.Error("the model that was chosen is not in use; the one before stays", "model", version, "in_use", k.inUse, "error", err)
	}
	k.refused, k.since = version, k.now()
}
