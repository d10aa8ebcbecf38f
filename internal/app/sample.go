package app

import (
	"context"
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
)

// openedSample is a prompt that was drawn for calibration, with the record that holds it.
type openedSample struct {
	Revealed
	record core.Record
}

// withSample leaves the records that hold a sample.
func withSample(records []core.Record) (held []core.Record) {
	for _, r := range records {
		if r.Sealed != nil && len(r.Sealed.Sample) > 0 {
			held = append(held, r)
		}
	}
	return held
}

// openSample opens the sample that is in these records, as Reveal does. It is nil where the person was erased, or the day of
// the sample is over.
func openSample(ctx context.Context, st store.Store, masters *seal.MasterKeys, exchange string, held []core.Record) (*openedSample, error) {
	revealed, err := Reveal(ctx, st, masters, exchange, held)
	if err != nil {
		return nil, err
	}
	for i, r := range held {
		if i < len(revealed) && revealed[i].Sample != nil {
			return &openedSample{revealed[i], r}, nil
		}
	}
	return nil, nil
}

// keys are those that the sample is sealed under, nil where one was destroyed meanwhile.
func (o *openedSample) keys(ctx context.Context, st store.Store, masters *seal.MasterKeys) (key, day *seal.Key, err error) {
	if key, _, err = usable(ctx, st.SubjectKeys(), masters, o.record.Sealed.Key); err != nil {
		return nil, nil, err
	}
	day, _, err = usable(ctx, st.SubjectKeys(), masters, o.record.Sealed.SampleKey)
	return key, day, err
}

// sealNote seals what was written about the sample, nil for nothing and where it is gone.
func (o *openedSample) sealNote(ctx context.Context, st store.Store, masters *seal.MasterKeys, text string) ([]byte, error) {
	key, day, err := o.keys(ctx, st, masters)
	if err != nil || key == nil || day == nil || text == "" {
		return nil, err
	}
	return seal.Note(&o.record, key, day, text), nil
}

// openNote gives what sealNote was given, empty for nothing. One that does not open is ErrUnreadable.
func (o *openedSample) openNote(ctx context.Context, st store.Store, masters *seal.MasterKeys, sealed []byte) (string, error) {
	key, day, err := o.keys(ctx, st, masters)
	if err != nil || key == nil || day == nil || len(sealed) == 0 {
		return "", err
	}
	note, err := seal.OpenNote(&o.record, key, day, sealed)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return note, err
}
