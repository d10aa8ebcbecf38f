// Package audit keeps the record of every exchange: nothing lost, in order, and checkable.
//
// # Loss contract
//
// Append returns nil only when the record is durable: in mode strict it is synced to the disk and survives the loss of
// power; in mode crash-safe it is written and survives the death of the process or its container. No mode drops: what
// cannot be recorded is an error, and the caller must then not go on. Calls that were admitted find room for their
// outcome even on a full disk: half of the journal is kept for them, and a ballast file holds blocks for the tables.
//
// # Form
//
// The log is one SQLite file and, before it, a journal, in which records become durable (journal.go, write.go) and from
// which they are moved into the tables in bulk (move.go, index.go).
//
// Each start of a process is a writer with a random name and numbers its records 1, 2, 3, …
// without gaps, so that loss is seen in the log itself and not in a counter of whoever lost it. A record is kept as its
// canonical bytes with a leaf hash over writer, number and bytes. One goroutine writes the journal, all that waits at a
// time, and one the tables.
//
// The package imports core and sqlite only; it must not know the gate, the front ends or the ledger.
package audit
