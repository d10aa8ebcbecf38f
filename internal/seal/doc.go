// Package seal keeps what derives from prompts and answers unreadable without the key of the person they are from.
//
// # Contract
//
// Each subject, a person or an app that calls in nobody's name, has a random key of 256 bits, which the store holds wrapped
// by a master key that the store does not hold. Words of a prompt that explain a score are sealed under it in every content
// mode, prompts and answers as the mode says. Erasing the subject is destroying that key: what was sealed stays in the
// records, whose hashes are over the ciphertext, and is noise from then on.
//
// A record never holds clear text because sealing failed: without the key the content is left out, and the record says so.
// Nothing is asked of the store while a request waits but for the key of somebody who was not seen by this process before,
// for at most keyWait, and never while the store is known to be away or slow.
//
// Keys lie in this process's memory while it may need them. A process that is taken over gives them away, those of the
// subjects that it served at least.
//
// The package imports core and redact only; it must not know the store, the audit or the gate.
package seal
