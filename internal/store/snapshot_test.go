package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

func snapshot(t testing.TB, o Objects) *Snapshot {
	t.Helper()
	s, err := newSnapshot(o, 7)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSnapshotFindsObjects(t *testing.T) {
	s := snapshot(t, Objects{
		Users: []core.User{{ID: "ann", Team: "red"}, {ID: "ben", Blocked: true}},
		Apps:  []core.App{{ID: "ide"}},
		Keys:  []core.AppKey{{ID: "k", App: "ide", Hash: [32]byte{1}, Revoked: noon}},
		SigningKeys: []core.SigningKey{
			{ID: "s", Alg: "EdDSA", Retired: noon},
		},
		Limits: []quota.Limit{{ID: "l", Scope: quota.ScopeEveryone, Dimension: quota.DimensionRequests, Window: quota.WindowDay, Value: 1}},
	})
	if u, ok := s.User("ben"); !ok || !u.Blocked {
		t.Errorf("ben is %+v, %v", u, ok)
	}
	if a, ok := s.App("ide"); !ok || a.ID != "ide" {
		t.Errorf("ide is %+v, %v", a, ok)
	}
	if k, ok := s.AppKey([32]byte{1}); !ok || k.Revoked.IsZero() {
		t.Errorf("the revoked key is %+v, %v: who checks it must see that it was revoked", k, ok)
	}
	if k, ok := s.SigningKey("s"); !ok || k.Retired.IsZero() {
		t.Errorf("the retired key is %+v, %v: what it signed is still to be verified", k, ok)
	}
	_, user := s.User("")
	_, app := s.App("ann")
	_, key := s.AppKey([32]byte{})
	_, signing := s.SigningKey("")
	if user || app || key || signing {
		t.Error("something that does not exist was found")
	}
	if n := len(s.Limits().Limits()); n != 1 || s.Generation() != 7 {
		t.Errorf("%d limits in generation %d", n, s.Generation())
	}
}

func TestRevoked(t *testing.T) {
	s := snapshot(t, Objects{Revocations: []core.Revocation{
		{ID: "1", TokenID: "jti-1"},
		{ID: "2", Subject: "ann", IssuedBefore: noon},
		{ID: "3", Subject: "ann", IssuedBefore: noon.Add(-time.Hour)}, // an older one takes nothing back
		{ID: "4", Subject: "jti-9", IssuedBefore: noon},
		{ID: "5", Session: "sid-1"},
	}})
	for _, tt := range []struct {
		name, token, subject string
		issued               time.Time
		want                 bool
		session              string
	}{
		{"by id", "jti-1", "ben", noon.Add(time.Hour), true, ""},
		{"another id", "jti-2", "ben", noon.Add(-time.Hour), false, ""},
		{"of a subject, before", "jti-2", "ann", noon.Add(-time.Microsecond), true, ""},
		{"of a subject, at the time", "jti-2", "ann", noon, false, ""},
		{"of a subject, after", "jti-2", "ann", noon.Add(time.Second), false, ""},
		{"without an id, before", "", "ann", noon.Add(-time.Second), true, ""},
		{"without a time of issue", "jti-2", "ann", time.Time{}, true, ""},
		{"of another subject", "jti-2", "annie", noon.Add(-time.Hour), false, ""},
		{"without an id or a subject", "", "", time.Time{}, false, ""},
		{"a subject named like a revoked token", "jti-2", "jti-1", noon.Add(time.Hour), false, ""},
		{"a token named like a revoked subject", "jti-9", "ben", noon.Add(-time.Hour), false, ""},
		{"by session", "jti-2", "ben", noon.Add(time.Hour), true, "sid-1"},
		{"of another session", "jti-2", "ben", noon, false, "sid-2"},
		{"a session named like a revoked token", "jti-2", "ben", noon, false, "jti-1"},
		{"a token named like a revoked session", "sid-1", "sid-1", noon, false, ""},
	} {
		if got := s.Revoked(tt.token, tt.session, tt.subject, tt.issued); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestTasksFor(t *testing.T) {
	s := snapshot(t, Objects{Tasks: []core.Task{
		{ID: "a", Users: []string{"ann"}},
		{ID: "b", Teams: []string{"red"}},
		{ID: "c", Users: []string{"ann", "ben"}, Teams: []string{"blue", "red"}},
		{ID: "d", Teams: []string{"blue", "red"}},
		{ID: "e", Users: []string{"ann"}},
		{ID: "f"},
	}})
	for _, tt := range []struct {
		name string
		p    core.Principal
		want string
	}{
		{"own and the team's, each once", core.Principal{User: "ann", Team: "red"}, "abcde"},
		{"own only", core.Principal{User: "ann"}, "ace"},
		{"the team's only", core.Principal{User: "cid", Team: "red"}, "bcd"},
		{"another team", core.Principal{User: "ben", Team: "blue"}, "cd"},
		{"an app of a team", core.Principal{App: "ide", Team: "red"}, "bcd"},
		{"an app named like a user", core.Principal{App: "ann"}, ""},
		{"nobody", core.Principal{}, ""},
		{"a stranger", core.Principal{User: "zoe", Team: "green"}, ""},
	} {
		var got string
		for _, task := range s.TasksFor(tt.p) {
			got += task.ID
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if len(s.Tasks()) != 6 {
		t.Errorf("%d tasks", len(s.Tasks()))
	}
}

func TestSnapshotRefusesLimitsItCannotCount(t *testing.T) {
	if _, err := newSnapshot(Objects{Limits: []quota.Limit{{ID: "l"}}}, 1); err == nil {
		t.Error("a limit without a scope was taken")
	}
}

func BenchmarkSnapshot(b *testing.B) {
	o := Objects{Revocations: []core.Revocation{{ID: "r", TokenID: "jti-1"}}, Users: []core.User{{ID: "ann", Team: "red"}}}
	for i := range 100 {
		task := core.Task{ID: string(rune('a'+i/26)) + string(rune('a'+i%26))}
		if i%50 == 0 {
			task.Users = []string{"ann"}
		}
		if i%25 == 0 {
			task.Teams = []string{"red"}
		}
		o.Tasks = append(o.Tasks, task)
	}
	s := snapshot(b, o)
	p := core.Principal{User: "ann", Team: "red"}
	for b.Loop() {
		if _, ok := s.User(p.User); !ok || s.Revoked("jti-2", "", p.User, noon) || len(s.TasksFor(p)) != 4 {
			b.Fatal("wrong answer")
		}
	}
}

func TestFeedNames(t *testing.T) {
	if got := Actor(t.Context()); got != "system" {
		t.Errorf("without an actor changes are by %q", got)
	}
	if got := Actor(WithActor(t.Context(), "cli:root")); got != "cli:root" {
		t.Errorf("changes are by %q", got)
	}
	if diff := cmp.Diff([]int{100, 100, 1, 1000, 1000}, []int{Page{}.Size(), Page{Limit: -1}.Size(), Page{Limit: 1}.Size(), Page{Limit: 1000}.Size(), Page{Limit: 1 << 40}.Size()}); diff != "" {
		t.Errorf("sizes of pages (-want +got):\n%s", diff)
	}
}
