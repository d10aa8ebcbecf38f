package store

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/wait"
)

// Snapshot is everything a Store held at one moment, indexed for the request path. It never changes.
type Snapshot struct {
	version     uint64
	objects     Objects
	users       map[string]core.User
	apps        map[string]core.App
	teams       map[string]core.Team
	keys        map[[32]byte]core.AppKey
	signing     map[string]core.SigningKey
	revoked     map[string]bool      // token ids
	ended       map[string]bool      // sessions
	revokedFrom map[string]time.Time // by subject: tokens issued before are revoked
	byUser      map[string][]int     // tasks, as indexes into objects.Tasks
	byTeam      map[string][]int
	limits      *quota.LimitSet
}

func newSnapshot(o Objects, version uint64) (*Snapshot, error) {
	limits, err := quota.Compile(o.Limits)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{
		version: version, objects: o, limits: limits,
		users: index(o.Users, func(u core.User) string { return u.ID }),
		apps:  index(o.Apps, func(a core.App) string { return a.ID }),
		teams: index(o.Teams, func(t core.Team) string { return t.ID }),
		keys:  index(o.Keys, func(k core.AppKey) [32]byte { return k.Hash }),
		signing: index(o.SigningKeys, func(k core.SigningKey) string {
			return k.ID
		}),
		revoked: map[string]bool{}, ended: map[string]bool{}, revokedFrom: map[string]time.Time{},
		byUser: map[string][]int{}, byTeam: map[string][]int{},
	}
	for _, r := range o.Revocations {
		if r.TokenID != "" {
			s.revoked[r.TokenID] = true
		}
		if r.Session != "" {
			s.ended[r.Session] = true
		}
		if r.Subject != "" && r.IssuedBefore.After(s.revokedFrom[r.Subject]) {
			s.revokedFrom[r.Subject] = r.IssuedBefore
		}
	}
	for i, t := range o.Tasks {
		for _, u := range t.Users {
			s.byUser[u] = append(s.byUser[u], i)
		}
		for _, team := range t.Teams {
			s.byTeam[team] = append(s.byTeam[team], i)
		}
	}
	return s, nil
}

func index[K comparable, T any](list []T, key func(T) K) map[K]T {
	m := make(map[K]T, len(list))
	for _, one := range list {
		m[key(one)] = one
	}
	return m
}

// Generation is the version of the store that the snapshot shows.
func (s *Snapshot) Generation() uint64 { return s.version }

// User gives a user by id.
func (s *Snapshot) User(id string) (core.User, bool) { u, ok := s.users[id]; return u, ok }

// App gives an app by id.
func (s *Snapshot) App(id string) (core.App, bool) { a, ok := s.apps[id]; return a, ok }

// Team gives a team by id.
func (s *Snapshot) Team(id string) (core.Team, bool) { t, ok := s.teams[id]; return t, ok }

// AppKey gives an app key by its hash, expired and revoked ones included.
func (s *Snapshot) AppKey(hash [32]byte) (core.AppKey, bool) { k, ok := s.keys[hash]; return k, ok }

// SigningKey gives a signing key by id, retired ones included.
func (s *Snapshot) SigningKey(id string) (core.SigningKey, bool) {
	k, ok := s.signing[id]
	return k, ok
}

// SigningKeys gives every signing key, retired ones included. The slice is shared and must not be changed.
func (s *Snapshot) SigningKeys() []core.SigningKey { return s.objects.SigningKeys }

// Revoked reports whether a token was revoked: by its id, with all of its session, or with all of its subject that were
// issued before a time.
func (s *Snapshot) Revoked(tokenID, session, subject string, issuedAt time.Time) bool {
	if tokenID != "" && s.revoked[tokenID] || session != "" && s.ended[session] {
		return true
	}
	from, ok := s.revokedFrom[subject]
	return ok && issuedAt.Before(from)
}

// Tasks gives every task. The slice is shared and must not be changed.
func (s *Snapshot) Tasks() []core.Task { return s.objects.Tasks }

// TasksFor gives the tasks assigned to a principal's user and team, each once, by id. An app without a user has those
// of its team.
func (s *Snapshot) TasksFor(p core.Principal) []core.Task {
	mine, ours := s.byUser[p.User], s.byTeam[p.Team]
	tasks := make([]core.Task, 0, len(mine)+len(ours))
	for i, j := 0, 0; i < len(mine) || j < len(ours); {
		switch {
		case j == len(ours) || i < len(mine) && mine[i] < ours[j]:
			tasks = append(tasks, s.objects.Tasks[mine[i]])
			i++
		case i < len(mine) && mine[i] == ours[j]:
			i++ // the next turn takes the team's
		default:
			tasks = append(tasks, s.objects.Tasks[ours[j]])
			j++
		}
	}
	return tasks
}

// Calibration is the version that was made last for a model, nil for none. It is shared and must not be changed.
func (s *Snapshot) Calibration(model string) *core.Calibration {
	return LatestCalibration(s.objects.Calibrations, model)
}

// Policy is the newest version of the policy, nil for none. It is shared and must not be changed.
func (s *Snapshot) Policy() *core.PolicyVersion { return s.objects.Policy }

// SystemPrompts gives every registered system prompt, by id. The slice is shared and must not be changed.
func (s *Snapshot) SystemPrompts() []core.SystemPrompt { return s.objects.SystemPrompts }

// Limits gives every limit, compiled.
func (s *Snapshot) Limits() *quota.LimitSet { return s.limits }

// DirectoryOptions are what a Directory is made of.
type DirectoryOptions struct {
	Store Store
	// Interval is the time between two looks at the store's version, 500 ms if zero.
	Interval time.Duration
	// Wake, if set, has the store be looked at now. What comes faster than one in WakePause is taken together.
	Wake <-chan struct{}
	// MaxStaleness is how old the last successful look may be before Fresh fails, 60 s if zero.
	MaxStaleness time.Duration
	Now          func() time.Time // time.Now if nil; its monotonic reading is used
	Log          *slog.Logger     // discards if nil
	// OnLoad, if set, is given each new snapshot before it is in force, one call at a time.
	OnLoad func(*Snapshot)
}

// Directory keeps a Store in memory and current: the request path reads it and never waits for the store.
type Directory struct {
	o       DirectoryOptions
	current atomic.Pointer[Snapshot]
	looked  atomic.Pointer[time.Time] // when the store last answered; monotonic, a clock that is set does not age it
	failed  atomic.Uint64             // looks that failed
	mu      sync.Mutex                // one refresh at a time
	broken  bool                      // the last look failed; under mu
}

// NewDirectory loads the store once; without it there is no directory.
func NewDirectory(ctx context.Context, o DirectoryOptions) (*Directory, error) {
	if o.Interval == 0 {
		o.Interval = 500 * time.Millisecond
	}
	if o.MaxStaleness == 0 {
		o.MaxStaleness = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Directory{o: o}
	if err := d.Refresh(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// Snapshot is the view in force.
func (d *Directory) Snapshot() *Snapshot { return d.current.Load() }

// Age is for how long the snapshot could not be refreshed.
func (d *Directory) Age() time.Duration { return d.o.Now().Sub(*d.looked.Load()) }

// Failures is how many looks at the store have failed.
func (d *Directory) Failures() uint64 { return d.failed.Load() }

// Fresh returns nil while the snapshot may be trusted, and otherwise for how long it could not be refreshed.
func (d *Directory) Fresh() error {
	if age := d.Age(); age > d.o.MaxStaleness {
		return fmt.Errorf("people, tasks and limits could not be refreshed for %s", age.Round(time.Second))
	}
	return nil
}

// WakePause is the least time between two looks for which Wake asked: whoever wakes without end costs no more than that.
const WakePause = 20 * time.Millisecond

// Run looks at the store's version again and again and reloads when it changed, until ctx ends. When the store fails,
// the last good snapshot stays in force.
func (d *Directory) Run(ctx context.Context) error {
	ticker := time.NewTicker(d.o.Interval)
	defer ticker.Stop()
	failing := false
	for {
		var pause time.Duration
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		case <-d.o.Wake:
			pause = WakePause
		}
		err := d.Refresh(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !failing:
			d.o.Log.Error("people, tasks and limits could not be refreshed; the last good ones stay", "error", err)
		case err == nil && failing:
			d.o.Log.Info("people, tasks and limits are refreshed again")
		}
		failing = err != nil
		if err := wait.For(ctx, pause); err != nil {
			return err
		}
	}
}

// Refresh brings the snapshot up to the store's version now.
func (d *Directory) Refresh(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.o.Now()
	err := d.look(ctx)
	d.broken = err != nil
	if err != nil {
		d.failed.Add(1)
		return err
	}
	d.looked.Store(&now)
	return nil
}

// Bounds of one look, which is cheap, and of the load that may follow it: one call that hangs neither ends all refreshing
// nor keeps a store that is back from being seen.
const (
	lookLimit = 2 * time.Second
	loadLimit = 30 * time.Second
)

// look loads the store if its version is another one. After a failure it always loads: the server that answers now may be
// another one, which has lost the last changes and given their versions to others.
func (d *Directory) look(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	version, err := d.o.Store.Version(short)
	if err != nil {
		return err
	}
	if current := d.current.Load(); current != nil && current.version == version && !d.broken {
		return nil
	}
	long, cancel := context.WithTimeout(ctx, loadLimit)
	defer cancel()
	return d.load(long)
}

func (d *Directory) load(ctx context.Context) error {
	objects, version, err := d.o.Store.Load(ctx)
	if err != nil {
		return err
	}
	s, err := newSnapshot(objects, version)
	if err != nil {
		return err
	}
	if d.o.OnLoad != nil {
		d.o.OnLoad(s)
	}
	d.current.Store(s)
	return nil
}
