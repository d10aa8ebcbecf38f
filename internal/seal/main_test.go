package seal_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keyStore is a store of keys that can be away.
type keyStore struct {
	mu     sync.Mutex
	keys   map[string]core.SubjectKey
	asked  int
	err    error
	before func(subject string) // called before a question is answered, without the lock
}

func (s *keyStore) Ensure(ctx context.Context, candidate core.SubjectKey) (core.SubjectKey, error) {
	s.mu.Lock()
	s.asked++
	before := s.before
	kept, ok := s.keys[candidate.Subject]
	err := s.err
	if !ok && err == nil {
		kept = candidate
		s.keys[candidate.Subject] = kept
	}
	s.mu.Unlock()
	if before != nil {
		before(candidate.Subject)
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return kept, err
}

func (s *keyStore) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *keyStore) erase(subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, subject)
}

func (s *keyStore) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

var errAway = errors.New("the store is away")

// world is a keyring that runs, with the store and the master keys behind it.
type world struct {
	store   *keyStore
	masters *seal.MasterKeys
	keys    *seal.Keyring
}

func start(t testing.TB) *world {
	t.Helper()
	w := &world{store: &keyStore{keys: map[string]core.SubjectKey{}}, masters: seal.NewMasterKeys()}
	var err error
	w.keys, err = seal.NewKeyring(seal.KeyringOptions{
		Store: w.store, Masters: func() (*seal.MasterKeys, error) { return w.masters, nil }, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.keys.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	})
	return w
}

// inWorld runs a test in a bubble, where nobody waits for a machine that is busy.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, start(t)) })
}

// key gives a subject's key, which must be there.
func (w *world) key(t testing.TB, subject string) *seal.Key {
	t.Helper()
	k := w.keys.Key(t.Context(), subject)
	if k == nil {
		t.Fatalf("%s has no key", subject)
	}
	return k
}
