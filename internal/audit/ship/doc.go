// Package ship moves the audit from the log of a process, its spool, into a store that all processes share.
//
// It promises at least once: an entry counts as shipped after the store has it, and one that is sent again changes nothing
// there. Nothing is dropped: an entry that the store refuses goes to its dead letters, where an operator finds it, and the
// others go on. While the store is away the spool grows and it is tried again; whoever records is never held up by it.
//
// The package knows neither the store's driver nor the log's files; it imports core and audit only.
package ship
