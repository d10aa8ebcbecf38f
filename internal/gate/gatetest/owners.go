package gatetest

import (
	"context"
	"errors"

	"github.com/plumbline/plumbline/internal/core"
)

// Object gives an object at the provider as it is kept, the zero one for nobody's.
func (w *World) Object(ref core.ObjectRef) core.OwnedObject {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.objects[ref]
}

// SetObject makes an object somebody's.
func (w *World) SetObject(o core.OwnedObject) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.objects[o.ObjectRef] = o
}

// owners keeps whose objects are. What only reads is in no journal.
type owners struct{ w *World }

func (o owners) Own(ctx context.Context, object core.OwnedObject) error {
	return o.w.step(ctx, "own", "", func() error {
		if had, taken := o.w.objects[object.ObjectRef]; taken && had.Owner != object.Owner {
			return errors.New("gatetest: it is another's")
		}
		o.w.objects[object.ObjectRef] = object
		return nil
	})
}

func (o owners) Owned(ctx context.Context, ref core.ObjectRef) (core.OwnedObject, bool, error) {
	if err := o.fails(ctx, "owned"); err != nil {
		return core.OwnedObject{}, false, err
	}
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	object, known := o.w.objects[ref]
	return object, known, nil
}

func (o owners) OwnedBy(ctx context.Context, kind core.ObjectKind, owner core.Owner) ([]string, error) {
	if err := o.fails(ctx, "ownedby"); err != nil {
		return nil, err
	}
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	var ids []string
	for ref, object := range o.w.objects {
		if ref.Kind == kind && object.Owner == owner {
			ids = append(ids, ref.ID)
		}
	}
	return ids, nil
}

func (o owners) Count(ctx context.Context, ref core.ObjectRef, model string, tokens int64) error {
	return o.w.step(ctx, "count", "", func() error {
		if object, known := o.w.objects[ref]; known {
			object.Model, object.Tokens = model, tokens
			o.w.objects[ref] = object
		}
		return nil
	})
}

func (o owners) Add(ctx context.Context, ref core.ObjectRef, model string, tokens int64) error {
	return o.w.step(ctx, "count", "", func() error {
		object, known := o.w.objects[ref]
		switch {
		case !known:
			return nil
		case object.Model == "":
			object.Model, object.Tokens = model, object.Tokens+tokens
		case object.Tokens > 0:
			object.Tokens += tokens
		}
		o.w.objects[ref] = object
		return nil
	})
}

func (o owners) Disown(ctx context.Context, ref core.ObjectRef) error {
	return o.w.step(ctx, "disown", "", func() error {
		delete(o.w.objects, ref)
		return nil
	})
}

func (o owners) fails(ctx context.Context, step string) error {
	if o.w.Fail == nil {
		return nil
	}
	return o.w.Fail(ctx, step)
}
