package app

import (
	"time"

	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/yamldoc"
)

// ParseObjects reads the document of `plumbline apply -f`: teams, users, apps, tasks and limits. Objects that do not say
// when they were made were made now.
func ParseObjects(name string, data []byte) (store.Objects, error) {
	var o store.Objects
	if err := yamldoc.Decode(name, data, &o).Err(); err != nil {
		return o, err
	}
	now := time.Now()
	for i := range o.Teams {
		stamp(&o.Teams[i].Created, now)
	}
	for i := range o.Users {
		stamp(&o.Users[i].Created, now)
	}
	for i := range o.Apps {
		stamp(&o.Apps[i].Created, now)
	}
	for i := range o.Tasks {
		stamp(&o.Tasks[i].Created, now)
	}
	for i := range o.Limits {
		stamp(&o.Limits[i].Created, now)
	}
	return o, nil
}

func stamp(created *time.Time, now time.Time) {
	if created.IsZero() {
		*created = now
	}
}
