package identity

import (
	"crypto"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
)

func claimVectors() []vector {
	claim := func(old, now string) string { return body(but(goodClaims, old, now)) }
	plus := func(members string) string { return body(with(goodClaims, members)) }
	vs := []vector{
		{"unknown claims", plus(`"scope":"a b","groups":["x"],"act":{"sub":"desk"}`), nil},
		{"app in the name of the user", plus(`"pl_kind":"user","pl_app":"desk"`), nil},
		{"sub in escapes", claim(`"ana"`, `"\u0061na"`), nil},

		{"empty", body(""), errJSON},
		{"null", body("null"), errJSON},
		{"a list", body("[" + goodClaims + "]"), errJSON},
		{"a string", body(`"ana"`), errJSON},
		{"not JSON", body("foo"), errJSON},
		{"a token (nested)", body(good()), errJSON},
		{"two objects", body(goodClaims + "{}"), errJSON},
		{"invalid UTF-8", claim("ana", "ana\xff"), errJSON},
		{"lone surrogate", claim("ana", `ana\udfff`), errJSON},
		{"raw line break", claim("ana", "ana\n"), errJSON},
		{"sub twice", plus(`"sub":"ben"`), errJSON},
		{"sub twice, once in escapes", plus(`"s\u0075b":"ben"`), errJSON},
		{"exp twice", plus(`"exp":1800003600`), errJSON},
		{"twice, deep inside", plus(`"x":{"y":{"z":1,"z":1}}`), errJSON},

		{"bound to a certificate", plus(`"cnf":{"x5t#S256":"AA"}`), errClaimBound},
		{"bound to nothing", plus(`"cnf":null`), errClaimBound},

		{"iss missing", body(without(goodClaims, `"iss":"https://plumbline.test"`)), errClaimText},
		{"iss empty", claim(`"https://plumbline.test"`, `""`), errClaimText},
		{"iss a list", claim(`"https://plumbline.test"`, `["https://plumbline.test"]`), errClaimText},
		{"iss with a slash more", claim("plumbline.test", "plumbline.test/"), errIssuer},
		{"iss in capitals", claim("plumbline.test", "PLUMBLINE.test"), errIssuer},
		{"iss by another scheme", claim("https:", "http:"), errIssuer},
		{"iss as a prefix", claim("plumbline.test", "plumbline.test.evil.test"), errIssuer},
		{"iss unknown", claim("plumbline.test", "evil.test"), errIssuer},
		{"iss with a space", claim("plumbline.test", "plumbline.test "), errIssuer},

		{"sub missing", body(without(goodClaims, `"sub":"ana"`)), errClaimText},
		{"sub empty", claim(`"ana"`, `""`), errClaimText},
		{"sub null", claim(`"ana"`, `null`), errClaimText},
		{"sub a number", claim(`"ana"`, `1`), errClaimText},
		{"sub a list", claim(`"ana"`, `["ana"]`), errClaimText},
		{"sub too long", claim("ana", strings.Repeat("a", 256)), errClaimText},
		{"sub with a carriage return", claim("ana", `ana\r\nx-admin: 1`), errClaimText},
		{"sub with a line break", claim("ana", `ana\n`), errClaimText},
		{"sub with a tab", claim("ana", `\tana`), errClaimText},
		{"sub with NUL", claim("ana", `ana\u0000`), errClaimText},
		{"sub with DEL", claim("ana", `ana\u007f`), errClaimText},
		{"sub with a C1 control", claim("ana", `ana\u0085`), errClaimText},
		{"sub with a line separator", claim("ana", `ana\u2028`), errClaimText},
		{"sub with a zero-width space", claim("ana", `an\u200ba`), errClaimText},
		{"sub with a soft hyphen", claim("ana", `an\u00ada`), errClaimText},
		{"sub with a bidirectional override", claim("ana", `\u202eana`), errClaimText},
		{"sub with a no-break space", claim("ana", `ana\u00a0`), errClaimText},
		{"sub with a byte order mark", claim("ana", `\ufeffana`), errClaimText},
		{"sub with the replacement character", claim("ana", `ana\ufffd`), errClaimText},
		{"sub decomposed", claim("ana", `ana\u0301`), errClaimText},
		{"sub with a compatibility form", claim("ana", `an\u212b`), errClaimText},
		{"sub private use", claim("ana", `ana\ue000`), errClaimText},
		{"sub longest", claim("ana", strings.Repeat("a", 255)), errUserUnknown},
		{"sub with a letter of another script", claim("ana", `\u0430na`), errUserUnknown},
		{"sub in capitals", claim("ana", "ANA"), errUserUnknown},
		{"sub of an app", claim(`"ana"`, `"desk"`), errUserUnknown},
		{"sub blocked", claim(`"ana"`, `"eve"`), errUserBlocked},

		{"jti missing", body(without(goodClaims, `"jti":"t1"`)), errClaimID},
		{"jti empty", claim(`"t1"`, `""`), errClaimText},
		{"jti a number", claim(`"t1"`, `1`), errClaimText},
		{"jti too long", claim("t1", strings.Repeat("t", 256)), errClaimText},
		{"jti with a line break", claim("t1", `t1\n`), errClaimText},

		{"kind unknown", plus(`"pl_kind":"admin"`), errClaimKind},
		{"kind in capitals", plus(`"pl_kind":"USER"`), errClaimKind},
		{"kind a number", plus(`"pl_kind":1`), errClaimText},
		{"kind app, with an app beside it", plus(`"pl_kind":"app","pl_app":"desk"`), errClaimKind},
		{"kind app, of a user", plus(`"pl_kind":"app"`), errAppUnknown},
		{"app unknown", plus(`"pl_app":"nowhere"`), errAppUnknown},
		{"app empty", plus(`"pl_app":""`), errClaimText},
	}
	for _, name := range []string{"Sub", "SUB", "\u017fub", "Iss", "EXP", "Aud", "JTI", "Cnf", "PL_KIND"} {
		vs = append(vs, vector{"claim " + name, plus(`"` + name + `":"x"`), errOtherCase})
	}
	return vs
}

func timeVectors() []vector {
	exp := func(s string) string { return body(but(goodClaims, `"exp":1800003600`, `"exp":`+s)) }
	iat := func(s string) string { return body(but(goodClaims, `"iat":1800000000`, `"iat":`+s)) }
	nbf := func(s string) string { return body(with(goodClaims, `"nbf":`+s)) }
	return []vector{
		{"exp missing", body(without(goodClaims, `"exp":1800003600`)), errExpiryMissing},
		{"exp in capitals alone", body(but(goodClaims, `"exp"`, `"EXP"`)), errOtherCase},
		{"exp null", exp("null"), errClaimTime},
		{"exp a string", exp(`"1800003600"`), errClaimTime},
		{"exp true", exp("true"), errClaimTime},
		{"exp a list", exp("[1800003600]"), errClaimTime},
		{"exp a fraction", exp("1800003600.5"), errClaimTime},
		{"exp a whole fraction", exp("1800003600.0"), errClaimTime},
		{"exp with an exponent", exp("1.8000036e9"), errClaimTime},
		{"exp 1e18", exp("1e18"), errClaimTime},
		{"exp 1e400", exp("1e400"), errClaimTime},
		{"exp negative", exp("-1800003600"), errClaimTime},
		{"exp zero", exp("0"), errClaimTime},
		{"exp minus zero", exp("-0"), errClaimTime},
		{"exp thirteen digits, as milliseconds", exp("1800003600000"), errClaimTime},
		{"exp beyond 63 bits", exp("9223372036854775808"), errClaimTime},
		{"exp beyond 64 bits, wrapping to good", exp("18446744075509555216"), errClaimTime},
		{"exp with a leading zero", exp("01800003600"), errClaimTime},
		{"exp with a plus", exp("+1800003600"), errJSON},
		{"exp hexadecimal", exp("0x6B49D200"), errClaimTime},
		{"exp NaN", exp("NaN"), errJSON},
		{"exp Infinity", exp("Infinity"), errJSON},
		{"exp in the year 33658", exp("999999999999"), errLifetime},
		{"exp long ago", exp("1"), errExpired},
		{"exp just beyond the leeway", exp("1799999990"), errExpired},
		{"exp just within the leeway", exp("1799999991"), nil},
		{"longest lifetime", exp("1800043200"), nil},
		{"lifetime a second too long", exp("1800043201"), errLifetime},

		{"iat missing", body(without(goodClaims, `"iat":1800000000`)), errIssuedMissing},
		{"iat a fraction", iat("1800000000.5"), errClaimTime},
		{"iat a string", iat(`"1800000000"`), errClaimTime},
		{"iat negative", iat("-1"), errClaimTime},
		{"iat just within the leeway", iat("1800000010"), nil},
		{"iat in the future", iat("1800000011"), errFuture},
		{"iat long ago", iat("1"), errLifetime},

		{"nbf now", nbf("1800000000"), nil},
		{"nbf just within the leeway", nbf("1800000010"), nil},
		{"nbf in the future", nbf("1800000011"), errNotYet},
		{"nbf a string", nbf(`"1800000000"`), errClaimTime},
		{"nbf a fraction", nbf("1800000000.0"), errClaimTime},
		{"nbf negative", nbf("-1"), errClaimTime},
		{"nbf null", nbf("null"), errClaimTime},
	}
}

func audienceVectors() []vector {
	aud := func(s string) string { return body(but(goodClaims, `"aud":"plumbline"`, `"aud":`+s)) }
	return []vector{
		{"one of several", aud(`["console","plumbline"]`), nil},
		{"a list of one", aud(`["plumbline"]`), nil},
		{"missing", body(without(goodClaims, `"aud":"plumbline"`)), errAudience},
		{"empty", aud(`""`), errAudience},
		{"no entry", aud(`[]`), errAudience},
		{"another", aud(`"console"`), errAudience},
		{"others", aud(`["console","billing"]`), errAudience},
		{"as a prefix", aud(`"plumbline-console"`), errAudience},
		{"in capitals", aud(`"Plumbline"`), errAudience},
		{"several in one string", aud(`"plumbline console"`), errAudience},
		{"of the other issuer's tokens", aud(`"api://plumbline"`), errAudience},
		{"null", aud(`null`), errClaimAudience},
		{"number", aud(`1`), errClaimAudience},
		{"object", aud(`{"plumbline":true}`), errClaimAudience},
		{"list with null", aud(`["plumbline",null]`), errClaimAudience},
		{"list of lists", aud(`[["plumbline"]]`), errClaimAudience},
	}
}

func issuerVectors() []vector {
	header := func(kid string) string { return but(goodHeader, "own-ed", kid) }
	return []vector{
		{"good", from(otherHeader, otherClaims), nil},
		{"without typ", from(without(otherHeader, `"typ":"JWT"`), otherClaims), nil},
		{"with iat and jti", from(otherHeader, with(otherClaims, `"iat":1800000000,"jti":"x"`)), nil},
		{"Plumbline's private claims say nothing", from(otherHeader, with(otherClaims, `"pl_kind":"app","pl_app":"nowhere"`)), nil},
		{"another typ", from(but(otherHeader, "JWT", "logout+jwt"), otherClaims), errTyp},
		{"Plumbline's typ", from(but(otherHeader, "JWT", "at+jwt"), otherClaims), errTyp},
		{"Plumbline's audience", from(otherHeader, but(otherClaims, "api://plumbline", "plumbline")), errAudience},
		{"lifetime too long, by what is left", from(otherHeader, but(otherClaims, "1800003600", "1800043201")), errLifetime},
		{"under Plumbline's iss, with its own kid", from(header("other-ed"), goodClaims), errKid},
		{"signed by Plumbline, with Plumbline's kid", signEd(keys().ed, but(otherHeader, "other-ed", "own-ed"), otherClaims), errKid},
		{"signed by Plumbline, with the issuer's kid", signEd(keys().ed, otherHeader, otherClaims), errSignature},
		{"with the kid of another of its keys", from(but(otherHeader, "other-ed", "other-rs"), otherClaims), errAlg},
	}
}

// crossVectors are tokens of one issuer passed off as another's. The two share ids of keys and an audience.
func crossVectors() []vector {
	k := keys()
	second := func(header, claims string) string { return signEd(k.secondEd, header, claims) }
	secondClaims := but(otherClaims, "idp.test", "second.test")
	return []vector{
		{"the second's own", second(otherHeader, secondClaims), nil},
		{"the second's own, for its other audience", second(otherHeader, but(secondClaims, "api://plumbline", "api://second")), nil},
		{"the first's iss under the second's key of the same id", second(otherHeader, otherClaims), errSignature},
		{"the second's iss under the first's key of the same id", from(otherHeader, secondClaims), errSignature},
		{"the first's iss under an id that only the second has", second(but(otherHeader, "other-ed", "second-ed"), otherClaims), errKid},
		{"the second's iss under an id that only the first has", from(but(otherHeader, "other-ed", "other-rs"), secondClaims), errKid},
		{"the second's iss under Plumbline's key", signEd(k.ed, otherHeader, secondClaims), errSignature},
		{"the second's iss under Plumbline's key and id", signEd(k.ed, but(otherHeader, "other-ed", "own-ed"), secondClaims), errKid},
		{"Plumbline's iss under the second's key", second(goodHeader, goodClaims), errSignature},
		{"Plumbline's iss under the second's key and id", second(but(goodHeader, "own-ed", "second-ed"), goodClaims), errKid},
		{"the first's for the second's audience", from(otherHeader, but(otherClaims, "api://plumbline", "api://second")), errAudience},
		{"the first's for every audience but its own", from(otherHeader, but(otherClaims, `"api://plumbline"`, `["plumbline","api://second"]`)), errAudience},
		{"the second's without typ, which only the first may", second(without(otherHeader, `"typ":"JWT"`), secondClaims), errTyp},
		{"the second's by its curve, as the first's key of the same id", signEC(k.otherEC, crypto.SHA256, `{"alg":"ES256","typ":"JWT","kid":"other-ec"}`, secondClaims), errAlg},
		{"the second's, with the first's curve named", signEC(k.ec384, crypto.SHA384, `{"alg":"ES256","typ":"JWT","kid":"other-ec"}`, secondClaims), errAlg},
		{"the first's, by the second's key of the same id and another curve", signEC(k.ec384, crypto.SHA384, `{"alg":"ES384","typ":"JWT","kid":"other-ec"}`, otherClaims), errAlg},
		{"both issuers", second(otherHeader, but(otherClaims, `"https://idp.test"`, `["https://idp.test","https://second.test"]`)), errClaimText},
		{"iss twice", second(otherHeader, with(secondClaims, `"iss":"https://idp.test"`)), errJSON},
		{"iss in a list", second(otherHeader, but(secondClaims, `"https://second.test"`, `["https://second.test"]`)), errClaimText},
		{"iss with the other's host as its user", second(otherHeader, but(secondClaims, "https://second.test", "https://idp.test@second.test")), errIssuer},
		{"the second's iss, the first's in the header", second(with(otherHeader, `"iss":"https://idp.test"`), secondClaims), nil},
		{"a logout event of the second", second(otherHeader, with(secondClaims, `"events":{"http://schemas.openid.net/event/backchannel-logout":{}}`)), errClaimEvent},
		{"an empty event", second(otherHeader, with(secondClaims, `"events":null`)), errClaimEvent},
		{"events in other letters", second(otherHeader, with(secondClaims, `"Events":{}`)), errOtherCase},
	}
}

// A token's causes stand for reasons that callers see.
func TestVectorReasons(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name, token string
		want        core.Reason
	}{
		{"malformed", "x.y", core.ReasonInvalidCredential},
		{"forged", head(but(goodHeader, "EdDSA", "none")), core.ReasonInvalidCredential},
		{"expired", body(but(goodClaims, `"exp":1800003600`, `"exp":1799990000`)), core.ReasonExpiredCredential},
		{"expired, and forged", from(goodHeader, but(goodClaims, `"exp":1800003600`, `"exp":1799990000`)), core.ReasonInvalidCredential},
		{"nobody", body(but(goodClaims, "ana", "zoe")), core.ReasonUnknownPrincipal},
		{"blocked", body(but(goodClaims, "ana", "eve")), core.ReasonUserBlocked},
	} {
		if _, denied := w.call(c.token); denied == nil || denied.Reason != c.want {
			t.Errorf("%s: %v, want %s", c.name, denied, c.want)
		}
	}
}
