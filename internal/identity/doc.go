// Package identity proves who calls. It turns the Authorization header of a request into a [Session]: the principal, and
// what is needed to ask again, while an answer streams, whether the credential is still good.
//
// Two kinds of credentials are believed: app keys (`pl_…`, opaque, looked up by hash) and signed tokens (JWT, RFC 7519,
// in JWS compact form, RFC 7515) of Plumbline's own issuer and of other trusted issuers. The package also makes them:
// [NewAppKey], [NewSigningKey], [Issuer].
//
// The JWT library computes signatures and nothing else. What a token is, which key may verify it and what its claims
// must say is decided here, before and after the library is asked; see compact.go and claims.go. Everything is answered
// from memory: nothing here waits for a store or a network.
//
// Refusals are *core.Error. Neither their public words nor their causes hold any part of a credential.
//
// The package must not import stores, front ends or other logic packages. golang-jwt is imported here and nowhere else.
package identity
