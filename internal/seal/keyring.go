package seal

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

const (
	// maxKeys bounds the keys in memory, about 1 kB each.
	maxKeys = 16_384
	// maxWanted bounds the subjects whose keys are on their way.
	maxWanted = 4096
	// keyWait bounds how long a request waits for the key of somebody who was not seen before.
	keyWait = 250 * time.Millisecond
	// loadLimit bounds one question to the store, retryAfter how soon after a failure the next one is asked.
	loadLimit  = 2 * time.Second
	retryAfter = 250 * time.Millisecond
	// badFor is how long a key that is there and cannot be unwrapped is not asked for again.
	badFor = 10 * time.Second
	// readAgain is how old the master keys may be that a new key is wrapped by: a rotation takes hold without a restart.
	readAgain = time.Minute
)

// KeyStore is what a keyring asks of the store. See store.SubjectKeys.
type KeyStore interface {
	Ensure(ctx context.Context, candidate core.SubjectKey) (core.SubjectKey, error)
}

// KeyringOptions are what a keyring is made of. All are required but Log.
type KeyringOptions struct {
	Store KeyStore
	// Masters reads the master keys. It is called at the start, once a minute while new keys are
	// asked for, and when a key is wrapped by one that is not known.
	Masters func() (*MasterKeys, error)
	Now     func() time.Time
	Log     *slog.Logger // discards if nil
}

// Keyring has the keys of subjects at hand. Run has to run; until then there are none. It is safe for concurrent use.
type Keyring struct {
	o       KeyringOptions
	masters *MasterKeys // of Run alone, like read
	read    time.Time   // when they were read
	wake    chan struct{}

	mu      sync.Mutex
	entries map[string]*entry
	recent  *list.List // of *entry, those that are no longer on their way, the latest used first
	wanted  []*entry
	away    bool // the store failed the last time
	slow    bool // a request waited in vain since the store answered last
}

// entry is the key of a subject, or the wait for it.
type entry struct {
	subject string
	key     *Key          // nil while it is not loaded
	ready   chan struct{} // closed when it is loaded, or could not be
	again   bool          // it was dropped on its way: what the store said may be from before
	bad     time.Time     // when it could not be unwrapped
	place   *list.Element // nil while it is on its way
}

// NewKeyring reads the master keys, and fails without.
func NewKeyring(o KeyringOptions) (*Keyring, error) {
	masters, err := o.Masters()
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Keyring{
		o: o, masters: masters, read: o.Now(), wake: make(chan struct{}, 1), entries: map[string]*entry{}, recent: list.New(),
	}, nil
}

// Prepare has the subject's key fetched, if it is not at hand, and does not wait for it.
func (k *Keyring) Prepare(subject string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.find(subject)
}

// Key gives the subject's key, or nil when it cannot be had in time.
func (k *Keyring) Key(ctx context.Context, subject string) *Key {
	k.mu.Lock()
	e := k.find(subject)
	if e == nil || e.key != nil || k.away || k.slow {
		defer k.mu.Unlock()
		if e == nil {
			return nil
		}
		return e.key
	}
	k.mu.Unlock()
	timer := time.NewTimer(keyWait)
	defer timer.Stop()
	late := false
	select {
	case <-e.ready:
	case <-timer.C:
		late = true
	case <-ctx.Done():
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.slow = k.slow || late && e.key == nil
	return e.key
}

// find gives the subject's entry, and puts one on its way where there is none. It is nil where too many are on their way.
func (k *Keyring) find(subject string) *entry {
	e := k.entries[subject]
	if e != nil && !e.bad.IsZero() && k.o.Now().Sub(e.bad) > badFor {
		k.remove(e)
		e = nil
	}
	switch {
	case e == nil && len(k.wanted) >= maxWanted:
		return nil
	case e == nil:
		e = &entry{subject: subject, ready: make(chan struct{})}
		k.entries[subject] = e
		k.wanted = append(k.wanted, e)
		select {
		case k.wake <- struct{}{}:
		default:
		}
	case e.place != nil:
		k.recent.MoveToFront(e.place)
	}
	return e
}

// Drop forgets the key of a subject that was erased. What comes later is sealed under a new one.
func (k *Keyring) Drop(subject string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.entries[subject]
	switch {
	case e == nil:
	case e.place == nil:
		e.again = true
	default:
		k.remove(e)
	}
}

func (k *Keyring) remove(e *entry) {
	k.recent.Remove(e.place)
	delete(k.entries, e.subject)
	e.key = nil
}

// Held is how many keys are in memory.
func (k *Keyring) Held() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.recent.Len()
}

// Run fetches the keys that are asked for, until ctx ends.
func (k *Keyring) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-k.wake:
		}
		for e := k.next(); e != nil && ctx.Err() == nil; e = k.next() {
			if err := k.load(ctx, e); err != nil {
				select {
				case <-ctx.Done():
				case <-time.After(retryAfter):
				}
			}
		}
	}
}

func (k *Keyring) next() *entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.wanted) == 0 {
		k.wanted = nil
		return nil
	}
	e := k.wanted[0]
	k.wanted = k.wanted[1:]
	return e
}

// load fetches one key. When the store fails, the wait for it is over and whoever comes next asks anew.
func (k *Keyring) load(ctx context.Context, e *entry) error {
	kept, err := k.ensure(ctx, e.subject)
	var key *Key
	var bad error
	if err == nil {
		key, bad = k.unwrap(kept)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil && e.again {
		e.again = false
		k.wanted = append(k.wanted, e)
		return nil
	}
	close(e.ready)
	k.slow = false
	k.tell(err, bad)
	if err != nil {
		delete(k.entries, e.subject)
		return err
	}
	if e.key = key; bad != nil {
		e.bad = k.o.Now()
	}
	if e.place = k.recent.PushFront(e); k.recent.Len() > maxKeys {
		k.remove(k.recent.Back().Value.(*entry))
	}
	return nil
}

// tell logs what changed.
func (k *Keyring) tell(away, bad error) {
	switch {
	case away != nil && !k.away:
		k.o.Log.Error("keys of subjects cannot be had; what derives from prompts is left out of the records until they can", "error", away)
	case away == nil && k.away:
		k.o.Log.Info("keys of subjects can be had again")
	}
	if k.away = away != nil; bad != nil {
		k.o.Log.Error("the key of a subject cannot be used; what derives from its prompts is left out of the records", "error", bad)
	}
}

func (k *Keyring) ensure(ctx context.Context, subject string) (core.SubjectKey, error) {
	ctx, cancel := context.WithTimeout(ctx, loadLimit)
	defer cancel()
	if k.o.Now().Sub(k.read) > readAgain {
		if err := k.readMasters(); err != nil {
			k.o.Log.Error("the master keys cannot be read again; those that were read before stay in use", "error", err)
		}
	}
	return k.o.Store.Ensure(ctx, k.masters.Make(subject, k.o.Now()))
}

func (k *Keyring) unwrap(kept core.SubjectKey) (*Key, error) {
	key, err := k.masters.Unwrap(kept)
	if !errors.Is(err, ErrUnknownMaster) {
		return key, err
	}
	// The master key was rotated, and another replica knows the new one already.
	if again := k.readMasters(); again != nil {
		return nil, errors.Join(err, again)
	}
	return k.masters.Unwrap(kept)
}

func (k *Keyring) readMasters() error {
	k.read = k.o.Now()
	masters, err := k.o.Masters()
	if err == nil {
		k.masters = masters
	}
	return err
}
