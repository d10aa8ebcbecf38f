package layout

import "github.com/plumbline/plumbline/internal/store"

// ChangeColumns are those of a change in the feed, in the order in which they are read.
const ChangeColumns = "version, time, actor, action, object, reason"

// ScanChange reads a change.
func ScanChange(row Scanner) (c store.Change, err error) {
	err = row.Scan(&c.Version, Micros{Into: &c.Time}, &c.Actor, &c.Action, &c.Object, &c.Reason)
	return c, err
}
