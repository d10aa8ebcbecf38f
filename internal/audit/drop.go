package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Drop is a month of a class of records whose hashes alone are kept. It is declared in an ADMIN record before it is done:
// only what a signed checkpoint fixes can tell retention from tampering, and the declaration is fixed by one.
type Drop struct {
	Class, Month string // such as exchange and 2026_03
	Records      int64
	Digest       [sha256.Size]byte // of the numbers and hashes that are kept; see DropDigest
}

// dropExchange begins the id of a declaration, which the log takes once.
const dropExchange = "drop/"

// Exchange is the id of the declaration.
func (d Drop) Exchange() string {
	return dropExchange + d.Class + "/" + d.Month + "/" + hex.EncodeToString(d.Digest[:8])
}

// Record is the declaration. Its object says all of the drop, so that nothing else can be put in its place.
func (d Drop) Record(actor string, now time.Time) core.Record {
	object := fmt.Sprintf("records/%s/%s/%d/%x", d.Class, d.Month, d.Records, d.Digest)
	return core.Record{Kind: core.RecordAdmin, Time: now, Exchange: d.Exchange(), Admin: &core.Change{Actor: actor, Action: "drop", Object: object}}
}

// IsDrop reports whether an id is that of a declaration.
func IsDrop(exchange string) bool { return strings.HasPrefix(exchange, dropExchange) }

// DropOf reads a declaration.
func DropOf(rec *core.Record) (d Drop, ok bool) {
	if rec.Kind != core.RecordAdmin || !IsDrop(rec.Exchange) || rec.Admin == nil || rec.Admin.Action != "drop" {
		return d, false
	}
	parts := strings.Split(rec.Admin.Object, "/")
	if len(parts) != 5 || parts[0] != "records" {
		return d, false
	}
	d.Class, d.Month = parts[1], parts[2]
	records, err := strconv.ParseInt(parts[3], 10, 64)
	digest, badDigest := hex.DecodeString(parts[4])
	if err != nil || badDigest != nil || len(digest) != sha256.Size {
		return d, false
	}
	d.Records, d.Digest = records, [sha256.Size]byte(digest)
	return d, true
}

// DropDigest sums up the hashes that are kept of a drop: part by part, in the order of writers and parts.
type DropDigest struct{ h hash.Hash }

// NewDropDigest begins one.
func NewDropDigest() *DropDigest { return &DropDigest{sha256.New()} }

// Add adds a part: leaves are the numbers, eight bytes each, and hashes, 32 bytes each, of some of a writer's records.
func (d *DropDigest) Add(writer string, part int64, leaves []byte) {
	sum := sha256.Sum256(leaves)
	fmt.Fprintf(d.h, "%s\n%d\n%x\n", writer, part, sum)
}

// Sum gives the digest of all that was added.
func (d *DropDigest) Sum() [sha256.Size]byte { return [sha256.Size]byte(d.h.Sum(nil)) }

// Dropped is a drop that was done, with the records that declare it as it is.
type Dropped struct {
	Drop
	Declared []Place
}

// Place is a record by its writer and number.
type Place struct {
	Writer string
	Seq    uint64
}

// Visit is called with the leaf hash of a record. Those of a writer come in the order of their numbers, from 1 on and without
// gaps; writers may alternate.
type Visit func(writer string, seq uint64, leaf [sha256.Size]byte) error

// Walked is what a walk through records found.
type Walked struct {
	Verified
	// DeadLetters counts records that the store refused and keeps apart; they were visited like the others.
	DeadLetters int64
	// Dropped are the months of which hashes alone are left; those were visited too.
	Dropped []Dropped
	// Sums counts the sums that were held against a recount of the records. Derived is the first thing that is not as it follows
	// from the records, which are all as they were written: a *BadSumError, or a *BadEntryError for the counts of a writer.
	Sums    int64
	Derived error
	// Released counts, by writer, records that are not here because another store has them. No record of such a writer was visited.
	Released map[string]uint64
}
