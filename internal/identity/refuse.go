package identity

import (
	"errors"

	"github.com/plumbline/plumbline/internal/core"
)

// Words that callers read. They say what to do and never quote what was sent.
const (
	wordsMissing = "No credential was sent. Send your Plumbline key or token in the header \"Authorization: Bearer …\" " +
		"(with OpenAI's SDKs: set it as the API key)."
	wordsMultiple = "More than one credential was sent. Send exactly one Authorization header and no other credential."
	wordsScheme   = "The Authorization header cannot be read. Send \"Authorization: Bearer \" followed by your Plumbline key or token."
	wordsProvider = "This is a key of the provider. Use the Plumbline key or token that you were given in its place."
	wordsTypo     = "This Plumbline key has a typo or is cut short: its checksum does not match. Copy the whole key again."
	wordsUnknown  = "This Plumbline key is not known here. It may have been deleted, or belong to another installation. Ask for a new one."
	wordsInvalid  = "This token is not accepted here: it is malformed, not signed by a trusted issuer, or meant for another service. Ask for a new one."
	wordsExpired  = "This credential has expired. Ask for a new one."
	wordsRevoked  = "This credential was revoked. Ask for a new one."
	wordsNobody   = "This credential is good, but the person or app that it names is not known here. Ask your administrator to add it."
	wordsRole     = "This token is good, but its owner has none of the roles that may use this service. Ask whoever gives out roles."
	wordsPending  = "This is the first request of this person, whose account is being set up. Send the request again in a moment."
	wordsOther    = "This credential belongs to another app or person than the workload that sends it. Use the workload's own."
	wordsBound    = "This token is bound to a client certificate, and the connection did not prove that one. Send it from the workload that it was issued to."
	wordsWorkload = "The identity that the mesh gives this workload cannot be read. Ask your administrator to check its certificate."
	wordsUnmapped = "The mesh says which workload calls, but not for which app or person. Ask your administrator to map it (identity.mesh.ids)."
	wordsBlocked  = "Your access is blocked. Ask your administrator about the reason and how to appeal."
)

func refuse(reason core.Reason, words string, cause error) *core.Error {
	return &core.Error{Reason: reason, Public: words, Cause: cause}
}

// named is a refusal of somebody who is known: the credential itself was good.
func named(p core.Principal, reason core.Reason, words string, cause error) *core.Error {
	e := refuse(reason, words, cause)
	e.Principal = p
	return e
}

func refuseToken(cause error) *core.Error {
	switch {
	case errors.Is(cause, errExpired):
		return refuse(core.ReasonExpiredCredential, wordsExpired, cause)
	case errors.Is(cause, errRole):
		return refuse(core.ReasonUnknownPrincipal, wordsRole, cause)
	}
	return refuse(core.ReasonInvalidCredential, wordsInvalid, cause)
}

// Causes, for the log. They are fixed texts because anything that quoted the token could leak it.
var (
	errNoHeader        = errors.New("no Authorization header")
	errEmptyHeader     = errors.New("empty Authorization header")
	errManyHeaders     = errors.New("more than one credential")
	errScheme          = errors.New("not a bearer credential")
	errProviderKey     = errors.New("a provider's key")
	errKeyChecksum     = errors.New("app key: malformed or wrong checksum")
	errKeyUnknown      = errors.New("app key: unknown")
	errKeyExpired      = errors.New("app key: expired")
	errKeyRevoked      = errors.New("app key: revoked")
	errAppUnknown      = errors.New("unknown app")
	errUserUnknown     = errors.New("unknown user")
	errUserPending     = errors.New("unknown user, who is being created")
	errUserBlocked     = errors.New("blocked user")
	errNobody          = errors.New("credential names nobody")
	errTokenSize       = errors.New("token: too long")
	errTokenAlphabet   = errors.New("token: a character outside of base64url")
	errTokenParts      = errors.New("token: not three parts")
	errTokenEncoding   = errors.New("token: not canonical base64url")
	errJSON            = errors.New("token: header or claims are not one strict JSON object")
	errOtherCase       = errors.New("token: a known header or claim name in other letters")
	errHeaderRefused   = errors.New("token header: a member that is refused")
	errHeaderAlg       = errors.New("token header: alg missing or not a string")
	errHeaderKid       = errors.New("token header: kid missing or malformed")
	errHeaderTyp       = errors.New("token header: typ is not a string")
	errTyp             = errors.New("token header: typ is not allowed for the issuer")
	errAlg             = errors.New("token header: alg is not the key's")
	errKid             = errors.New("token header: the issuer has no such key")
	errSignature       = errors.New("token: wrong signature")
	errClaimTime       = errors.New("token claims: a time that is not a plausible integer")
	errClaimText       = errors.New("token claims: a text that is missing, too long, not printable or not NFC")
	errClaimAudience   = errors.New("token claims: aud is not a string or a list of strings")
	errClaimBound      = errors.New("token claims: cnf binds the token to a key that was not proven")
	errClaimKind       = errors.New("token claims: unknown kind of subject")
	errClaimID         = errors.New("token claims: jti missing")
	errClaimEvent      = errors.New("token claims: events makes it a security event, not a credential")
	errClaimMissing    = errors.New("token claims: the claim that names the user or app is missing")
	errClaimPrefix     = errors.New("token claims: the claim that names the user or app has not the issuer's prefix")
	errEmailUnverified = errors.New("token claims: email names the user, and email_verified does not vouch for it")
	errRole            = errors.New("token claims: none of the required roles")
	errIssuer          = errors.New("token claims: iss is not a trusted issuer")
	errAudience        = errors.New("token claims: aud is another service")
	errExpired         = errors.New("token claims: exp has passed")
	errNotYet          = errors.New("token claims: nbf has not come")
	errFuture          = errors.New("token claims: iat is in the future")
	errIssuedMissing   = errors.New("token claims: iat missing")
	errLifetime        = errors.New("token claims: lifetime too long")
	errExpiryMissing   = errors.New("token claims: exp missing")
	errTokenRevoked    = errors.New("token: revoked")
	errSigningKeyGone  = errors.New("token: its signing key was removed")
	errBound           = errors.New("token: bound to a certificate that the connection did not prove")
	errClaimActor      = errors.New("token claims: act names nobody")
	errOtherWorkload   = errors.New("credential: of another app or user than its workload's")
	errUnmapped        = errors.New("mesh: no rule matches the workload's id")
)
