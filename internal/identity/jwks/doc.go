// Package jwks keeps the key sets of trusted issuers current, so that verifying a token never waits for a network.
//
// A [Client] fetches one fixed HTTPS address and trusts little of what comes back. A [Source] decides when to fetch and
// what is in force: it answers from memory, refreshes every few minutes and when a token names an unknown key, takes a new
// set over whole, and lives through an outage of the issuer for a day, also across a restart.
//
// The package imports identity, which reads key sets, and of Plumbline besides what reads and writes files whole. It is the
// only one that speaks HTTP for the sake of a credential.
package jwks
