// Package audit keeps the record of every exchange: nothing lost, in order, and checkable.
//
// # Loss contract
//
// Append returns nil only when the record is durable: in mode strict it is synced to the disk and survives the loss of
// power; in mode crash-safe it is written and survives the death of the process or its container. No mode drops: what
// cannot be recorded is an error, and the caller must then not go on. Calls that were admitted find room for their
// outcome even on a full disk, in blocks that a ballast file held for them.
//
// # Form
//
// The log is one SQLite file. Each start of a process is a writer with a random name and numbers its records 1, 2, 3, …
// without gaps, so that loss is seen in the log itself and not in a counter of whoever lost it. A record is kept as its
// canonical bytes with a leaf hash over writer, number and bytes. One goroutine writes, everything that waits in one
// transaction.
//
// The package imports core and sqlite only; it must not know the gate, the front ends or the ledger.
package audit
