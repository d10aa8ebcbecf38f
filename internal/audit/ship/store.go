package ship

import (
	"context"
	"errors"
	"fmt"

	"github.com/plumbline/plumbline/internal/audit"
)

// ship stores a batch. Where the store refuses it, each half is tried, down to the one entry that is at fault: that one goes
// to the dead letters.
func (s *Shipper) ship(ctx context.Context, batch []audit.Shipment) error {
	for i := range batch {
		if batch[i].Fault != "" {
			return s.around(ctx, batch, i, batch[i].Fault)
		}
	}
	stored, err := s.o.Destination.Store(ctx, batch)
	switch {
	case err == nil:
		s.shipped.Add(int64(stored.New + stored.Known))
		if stored.Conflicts > 0 {
			s.conflicts.Add(int64(stored.Conflicts))
			s.deadLetters.Add(int64(stored.Conflicts))
			s.o.Log.Error("the audit's store has other records under the same writers and numbers: they were changed there, or two processes ship copies of one log; those from here are in the dead letters",
				"records", stored.Conflicts, "from", int64(batch[0].Position), "to", int64(batch[len(batch)-1].Position))
		}
		return nil
	case !errors.Is(err, ErrRefused):
		return err
	case len(batch) == 1:
		return s.bury(ctx, batch[0], err.Error())
	}
	half := len(batch) / 2
	if err := s.ship(ctx, batch[:half]); err != nil {
		return err
	}
	return s.ship(ctx, batch[half:])
}

// around ships a batch but for the one entry that is known to be bad, and buries that.
func (s *Shipper) around(ctx context.Context, batch []audit.Shipment, bad int, why string) error {
	if bad > 0 {
		if err := s.ship(ctx, batch[:bad]); err != nil {
			return err
		}
	}
	if err := s.bury(ctx, batch[bad], why); err != nil {
		return err
	}
	if bad+1 == len(batch) {
		return nil
	}
	return s.ship(ctx, batch[bad+1:])
}

func (s *Shipper) bury(ctx context.Context, e audit.Shipment, why string) error {
	if err := s.o.Destination.Bury(ctx, e, why); err != nil {
		return fmt.Errorf("burying record %d of writer %s: %w", e.Seq, e.Writer, err)
	}
	s.deadLetters.Add(1)
	s.o.Log.Error("an audit record could not be stored and is in the dead letters", "writer", e.Writer, "number", e.Seq, "why", why)
	return nil
}
