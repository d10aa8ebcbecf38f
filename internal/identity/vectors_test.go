package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
)

// vector is a token and the cause for which it is refused, nil when it is accepted. The cause matters: a vector that is
// refused for another fault than its own proves nothing. All faults but those of the signature itself are therefore
// under a good signature.
type vector struct {
	name  string
	token string
	want  error
}

func TestVectors(t *testing.T) {
	groups := map[string][]vector{
		"header":         headerVectors(),
		"algorithm":      algorithmVectors(t),
		"key id":         kidVectors(),
		"type":           typeVectors(),
		"form":           formVectors(),
		"signature":      signatureVectors(t),
		"claims":         claimVectors(),
		"time":           timeVectors(),
		"audience":       audienceVectors(),
		"foreign issuer": issuerVectors(),
		"cross-issuer":   crossVectors(),
	}
	total, seen := 0, map[string]string{}
	for group, vectors := range groups {
		t.Run(group, func(t *testing.T) {
			for _, v := range vectors {
				total++
				if twin, ok := seen[v.token]; ok {
					t.Errorf("%s is the same token as %s", v.name, twin)
				}
				seen[v.token] = v.name
				checkVector(t, v)
			}
		})
	}
	t.Logf("%d vectors", total)
	if total < 120 {
		t.Errorf("%d vectors, want at least 120", total)
	}
}

func checkVector(t *testing.T, v vector) {
	t.Helper()
	w := newWorld(t)
	session, denied := w.call(v.token)
	switch {
	case v.want == nil && denied != nil:
		t.Errorf("%s: refused: %v", v.name, denied)
	case v.want == nil && session.Principal.User != "ana":
		t.Errorf("%s: is %+v", v.name, session.Principal)
	case v.want == nil:
	case denied == nil:
		t.Errorf("%s: accepted as %+v", v.name, session.Principal)
	case !errors.Is(denied, v.want):
		t.Errorf("%s: refused for %q, want %q", v.name, denied.Cause, v.want)
	case session != nil:
		t.Errorf("%s: a session beside the refusal", v.name)
	case errors.Is(v.want, errExpired) != (denied.Reason == core.ReasonExpiredCredential):
		t.Errorf("%s: reason is %s", v.name, denied.Reason)
	}
	if denied != nil {
		checkSilent(t, denied, v.token)
	}
}

// checkSilent fails when a refusal repeats a part of the credential.
func checkSilent(t *testing.T, denied *core.Error, credential string) {
	t.Helper()
	for part := range strings.SplitSeq(credential, ".") {
		if len(part) >= 8 && (strings.Contains(denied.Public, part) || strings.Contains(denied.Error(), part)) {
			t.Errorf("the refusal %q quotes the credential", denied)
		}
	}
}

func headerVectors() []vector {
	vs := []vector{
		{"good", good(), nil},
		{"spaces between members", head("{ \"alg\" : \"EdDSA\",\n\t\"typ\":\"at+jwt\", \"kid\":\"own-ed\" }"), nil},
		{"members without meaning", head(with(goodHeader, `"x5t":"AA","nonce":"1","ver":2`)), nil},
		{"alg in escapes", head(but(goodHeader, `"EdDSA"`, `"\u0045dDSA"`)), nil},

		{"empty", head(""), errJSON},
		{"null", head("null"), errJSON},
		{"a string", head(`"EdDSA"`), errJSON},
		{"a list", head("[" + goodHeader + "]"), errJSON},
		{"cut short", head(strings.TrimSuffix(goodHeader, "}")), errJSON},
		{"two objects", head(goodHeader + goodHeader), errJSON},
		{"text after it", head(goodHeader + "x"), errJSON},
		{"NUL after it", head(goodHeader + "\x00"), errJSON},
		{"byte order mark", head("\ufeff" + goodHeader), errJSON},
		{"trailing comma", head(but(goodHeader, "}", ",}")), errJSON},
		{"comment", head(but(goodHeader, "{", "{/**/")), errJSON},
		{"single quotes", head(strings.ReplaceAll(goodHeader, `"`, `'`)), errJSON},
		{"invalid UTF-8", head(with(goodHeader, "\"x\":\"\xff\"")), errJSON},
		{"overlong UTF-8", head(but(goodHeader, "own-ed", "own\xc0\xaded")), errJSON},
		{"lone surrogate", head(with(goodHeader, `"x":"\ud800"`)), errJSON},
		{"raw control character", head(with(goodHeader, "\"x\":\"\n\"")), errJSON},
		{"alg twice", head(with(goodHeader, `"alg":"EdDSA"`)), errJSON},
		{"alg twice, once in escapes", head(with(goodHeader, `"\u0061lg":"none"`)), errJSON},
		{"kid twice", head(with(goodHeader, `"kid":"own-ec"`)), errJSON},
		{"unknown member twice", head(with(goodHeader, `"x":1,"x":2`)), errJSON},
		{"member twice, deep inside", head(with(goodHeader, `"x":[{"y":1,"y":1}]`)), errJSON},
		{"nested without end", head(with(goodHeader, `"x":`+strings.Repeat("[", 2000))), errJSON},

		{"crit with a name that is understood", head(with(goodHeader, `"crit":["exp"]`)), errHeaderRefused},
		{"crit empty", head(with(goodHeader, `"crit":[]`)), errHeaderRefused},
		{"crit null", head(with(goodHeader, `"crit":null`)), errHeaderRefused},
		{"unencoded payload", head(with(goodHeader, `"crit":["b64"],"b64":false`)), errHeaderRefused},
		{"nested token", head(with(goodHeader, `"cty":"JWT"`)), errHeaderRefused},
	}
	refused := map[string]string{
		"jku": `"https://evil.test/keys"`, "x5u": `"https://evil.test/cert"`, "x5c": `["MIIB"]`, "b64": `true`,
		"jwk": `{"kty":"OKP","crv":"Ed25519","x":"AA"}`, "zip": `"DEF"`, "enc": `"A256GCM"`,
	}
	for name, value := range refused {
		vs = append(vs,
			vector{name, head(with(goodHeader, `"`+name+`":`+value)), errHeaderRefused},
			vector{name + " in capitals", head(with(goodHeader, `"`+strings.ToUpper(name)+`":`+value)), errOtherCase})
	}
	for _, name := range []string{"Alg", "KID", "\u212aid", "Typ", "Crit"} {
		vs = append(vs, vector{"member " + name, head(with(goodHeader, `"`+name+`":"own-ec"`)), errOtherCase})
	}
	return vs
}

func algorithmVectors(t *testing.T) []vector {
	k := keys()
	der := pkix(t, k.ed.Public())
	raw := []byte(k.ed.Public().(ed25519.PublicKey))
	file := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	hs := but(goodHeader, "EdDSA", "HS256")
	rsaDER := pkix(t, k.rsa.Public())
	vs := []vector{
		{"HMAC with the public key, raw", signHMAC(raw, hs, goodClaims), errAlg},
		{"HMAC with the public key, DER", signHMAC(der, hs, goodClaims), errAlg},
		{"HMAC with the public key, PEM", signHMAC(file, hs, goodClaims), errAlg},
		{"HMAC with an empty key", signHMAC(nil, hs, goodClaims), errAlg},
		{"HMAC with an RSA public key", signHMAC(rsaDER, but(otherHeader, `"EdDSA","typ":"JWT","kid":"other-ed"`,
			`"HS256","typ":"JWT","kid":"other-rs"`), otherClaims), errAlg},
		{"missing", head(without(goodHeader, `"alg":"EdDSA"`)), errHeaderAlg},
		{"empty", head(but(goodHeader, `"EdDSA"`, `""`)), errHeaderAlg},
		{"null", head(but(goodHeader, `"EdDSA"`, `null`)), errHeaderAlg},
		{"number", head(but(goodHeader, `"EdDSA"`, `0`)), errHeaderAlg},
		{"list", head(but(goodHeader, `"EdDSA"`, `["EdDSA"]`)), errHeaderAlg},
		{"in capitals alone", head(but(goodHeader, `"alg"`, `"ALG"`)), errOtherCase},
		{"ES256 signature by a key for EdDSA", signEC(k.ec, crypto.SHA256, but(goodHeader, "EdDSA", "ES256"), goodClaims), errAlg},
		{"PS256 by a key pinned to RS256", signRSA(k.rsa, pss(rsa.PSSSaltLengthEqualsHash),
			`{"alg":"PS256","kid":"other-rs"}`, otherClaims), errAlg},
		{"RS256 by a key pinned to PS256", signRSA(k.rsa, crypto.SHA256, `{"alg":"RS256","kid":"other-ps"}`, otherClaims), errAlg},
		{"RS512 by a key pinned to RS256", signRSA(k.rsa, crypto.SHA512, `{"alg":"RS512","kid":"other-rs"}`, otherClaims), errAlg},
		{"ES256", signEC(k.ec, crypto.SHA256, `{"alg":"ES256","typ":"at+jwt","kid":"own-ec"}`, goodClaims), nil},
		{"RS256", signRSA(k.rsa, crypto.SHA256, `{"alg":"RS256","kid":"other-rs"}`, otherClaims), nil},
		{"PS256", signRSA(k.rsa, pss(rsa.PSSSaltLengthEqualsHash), `{"alg":"PS256","kid":"other-ps"}`, otherClaims), nil},
	}
	for _, alg := range []string{
		"none", "None", "NONE", "nOnE", "none ", "HS384", "HS512", "RS256", "PS512", "ES384", "eddsa", "EDDSA", "EdDSA ",
		"Ed25519", "EdDSA\\u0000", "dir", "RSA1_5", "../EdDSA",
	} {
		signed := head(but(goodHeader, "EdDSA", alg))
		vs = append(vs, vector{"alg " + alg, signed, errAlg})
		if strings.EqualFold(alg, "none") {
			vs = append(vs, vector{"alg " + alg + ", no signature", signed[:strings.LastIndexByte(signed, '.')+1], errAlg})
		}
	}
	return vs
}

func pss(salt int) *rsa.PSSOptions { return &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA256} }

func kidVectors() []vector {
	kid := func(s string) string { return head(but(goodHeader, "own-ed", s)) }
	return []vector{
		{"missing", head(without(goodHeader, `"kid":"own-ed"`)), errHeaderKid},
		{"empty", kid(""), errHeaderKid},
		{"null", head(but(goodHeader, `"own-ed"`, "null")), errHeaderKid},
		{"number", head(but(goodHeader, `"own-ed"`, "1")), errHeaderKid},
		{"object", head(but(goodHeader, `"own-ed"`, `{"own-ed":1}`)), errHeaderKid},
		{"too long", kid(strings.Repeat("k", maxKid+1)), errHeaderKid},
		{"line break", kid(`own-ed\n`), errHeaderKid},
		{"NUL", kid(`own-ed\u0000`), errHeaderKid},
		{"DEL", kid(`own-ed\u007f`), errHeaderKid},
		{"not ASCII", kid("own-éd"), errHeaderKid},
		{"longest", kid(strings.Repeat("k", maxKid)), errKid},
		{"a path", kid("../../../../dev/null"), errKid},
		{"a statement", kid("x' UNION SELECT 'AA';--"), errKid},
		{"a command", kid("$(id)|own-ed"), errKid},
		{"a URL", kid("https://evil.test/keys#own-ed"), errKid},
		{"in capitals", kid("OWN-ED"), errKid},
		{"space after it", kid("own-ed "), errKid},
		{"another issuer's", kid("other-ed"), errKid},
		{"another key's, of another type", kid("own-ec"), errAlg},
	}
}

func typeVectors() []vector {
	typ := func(s string) string { return head(but(goodHeader, `"at+jwt"`, s)) }
	return []vector{
		{"in capitals", typ(`"AT+JWT"`), nil},
		{"as a full media type", typ(`"application/at+jwt"`), nil},
		{"missing", head(without(goodHeader, `"typ":"at+jwt"`)), errTyp},
		{"empty", typ(`""`), errTyp},
		{"JWT", typ(`"JWT"`), errTyp},
		{"JOSE", typ(`"JOSE"`), errTyp},
		{"security event", typ(`"secevent+jwt"`), errTyp},
		{"proof of possession", typ(`"dpop+jwt"`), errTyp},
		{"space after it", typ(`"at+jwt "`), errTyp},
		{"twice application/", typ(`"application/application/at+jwt"`), errTyp},
		{"null", typ(`null`), errHeaderTyp},
		{"number", typ(`1`), errHeaderTyp},
		{"list", typ(`["at+jwt"]`), errHeaderTyp},
	}
}

func formVectors() []vector {
	token := good()
	parts := strings.Split(token, ".")
	join := func(p ...string) string { return strings.Join(p, ".") }
	h, c, s := parts[0], parts[1], parts[2]
	return []vector{
		{"one part", h, errTokenParts},
		{"two parts", join(h, c), errTokenParts},
		{"four parts", join(h, c, s, ""), errTokenParts},
		{"five parts, as encrypted", join(h, "", c, s, "AA"), errTokenParts},
		{"dots alone", "..", errJSON},
		{"no header", join("", c, s), errJSON},
		{"no payload (detached)", join(h, "", s), errJSON},
		{"JSON serialization", `{"protected":"` + h + `","payload":"` + c + `","signature":"` + s + `"}`, errManyHeaders},
		{"in quotes", `"` + token + `"`, errTokenAlphabet},
		{"padding in the header", join(h+"=", c, s), errTokenAlphabet},
		{"padding in the payload", join(h, c+"==", s), errTokenAlphabet},
		{"padding in the signature", join(h, c, s+"=="), errTokenAlphabet},
		{"percent-encoded padding", join(h, c, s+"%3D%3D"), errTokenAlphabet},
		{"the other alphabet, plus", join(h, c, "+"+s[1:]), errTokenAlphabet},
		{"the other alphabet, slash", join(h, c, "/"+s[1:]), errTokenAlphabet},
		{"line break in the header", join(h[:4]+"\n"+h[4:], c, s), errTokenAlphabet},
		{"line break in the signature", join(h, c, s[:4]+"\r\n"+s[4:]), errTokenAlphabet},
		{"line break after it", token + "\n", errTokenAlphabet},
		{"space before it", " " + token, errTokenAlphabet},
		{"space after it", token + " ", errTokenAlphabet},
		{"tab inside", join(h, c[:4]+"\t"+c[4:], s), errTokenAlphabet},
		{"NUL after it", token + "\x00", errTokenAlphabet},
		{"full stop of another script", strings.Replace(token, ".", "\u3002", 1), errTokenAlphabet},
		{"stray bits in the header", join(stray(goodHeader), c, s), errTokenEncoding},
		{"stray bits in the payload", join(h, stray(goodClaims), s), errTokenEncoding},
		{"stray bits in the signature", join(h, c, stray(strings.Repeat("s", 64))), errTokenEncoding},
		{"a length that base64 does not have", join(h, c, s[:85]), errTokenEncoding},
		{"longest", body(with(goodClaims, `"x":"`+strings.Repeat("x", fill(goodClaims))+`"`)), nil},
		{"too long", body(with(goodClaims, `"x":"`+strings.Repeat("x", fill(goodClaims)+3)+`"`)), errTokenSize},
	}
}

// stray encodes s so that the last character's unused bits are not zero.
func stray(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for len(s)%3 == 0 {
		s += " "
	}
	e := b64(s)
	last := strings.IndexByte(alphabet, e[len(e)-1])
	return e[:len(e)-1] + alphabet[last+1:last+2]
}

// fill is how much text a claim "x" may hold for the token to be as long as one may be.
func fill(claims string) int {
	signature := base64.RawURLEncoding.EncodedLen(ed25519.SignatureSize)
	payload := maxToken - len(b64(goodHeader)) - signature - 2
	return base64.RawURLEncoding.DecodedLen(payload) - len(with(claims, `"x":""`))
}

func signatureVectors(t *testing.T) []vector {
	k := keys()
	token := good()
	cut := strings.LastIndexByte(token, '.') + 1
	signature := func(s []byte) string { return withSignature(token, s) }
	raw, err := base64.RawURLEncoding.DecodeString(token[cut:])
	if err != nil {
		t.Fatal(err)
	}
	ecHeader := `{"alg":"ES256","typ":"at+jwt","kid":"own-ec"}`
	ec := signEC(k.ec, crypto.SHA256, ecHeader, goodClaims)
	ecCut := strings.LastIndexByte(ec, '.') + 1
	ecRaw, err := base64.RawURLEncoding.DecodeString(ec[ecCut:])
	if err != nil {
		t.Fatal(err)
	}
	ecSignature := func(s []byte) string { return withSignature(ec, s) }
	order := k.ec.Params().N.Bytes()
	one := append(make([]byte, 31), 1)
	sum := sha256.Sum256([]byte(ec[:ecCut-1]))
	der, err := ecdsa.SignASN1(rand.Reader, k.ec, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	ps := `{"alg":"PS256","kid":"other-ps"}`
	return []vector{
		{"missing", token[:cut], errSignature},
		{"one byte", signature(raw[:1]), errSignature},
		{"cut short", signature(raw[:63]), errSignature},
		{"one byte more", signature(append(raw[:64:64], 0)), errSignature},
		{"one bit changed", signature(append([]byte{raw[0] ^ 1}, raw[1:]...)), errSignature},
		{"last bit changed", signature(append(raw[:63:63], raw[63]^1)), errSignature},
		{"zeros", signature(make([]byte, 64)), errSignature},
		{"scalar plus the group's order", signature(addOrder(raw)), errSignature},
		{"of another token", token[:cut] + lastPart(body(with(goodClaims, `"x":1`))), errSignature},
		{"claims changed", token[:strings.IndexByte(token, '.')+1] + b64(but(goodClaims, "ana", "ben")) + token[cut-1:], errSignature},
		{"by a stranger's key", signEd(ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", 32))), goodHeader, goodClaims), errSignature},
		{"by another issuer's key", from(goodHeader, goodClaims), errSignature},

		{"ECDSA: r and s zero (psychic)", ecSignature(make([]byte, 64)), errSignature},
		{"ECDSA: r zero", ecSignature(append(make([]byte, 32), ecRaw[32:]...)), errSignature},
		{"ECDSA: s zero", ecSignature(append(ecRaw[:32:32], make([]byte, 32)...)), errSignature},
		{"ECDSA: r and s one", ecSignature(append(one[:32:32], one...)), errSignature},
		{"ECDSA: r and s the order", ecSignature(append(order[:32:32], order...)), errSignature},
		{"ECDSA: r and s swapped", ecSignature(append(ecRaw[32:64:64], ecRaw[:32]...)), errSignature},
		{"ECDSA: DER", ecSignature(der), errSignature},
		{"ECDSA: DER of zeros", ecSignature(asn1Zeros(t)), errSignature},
		{"ECDSA: padded", ecSignature(append(append([]byte{0}, ecRaw[:32]...), append([]byte{0}, ecRaw[32:]...)...)), errSignature},
		{"ECDSA: by a key on another curve", signEC(k.ec384, crypto.SHA384, ecHeader, goodClaims), errSignature},
		{"ECDSA: over another digest", signEC(k.ec, crypto.SHA512, ecHeader, goodClaims), errSignature},
		{"ECDSA: by another issuer's key", signEC(k.otherEC, crypto.SHA256, ecHeader, goodClaims), errSignature},

		{"PSS: salt shorter than the hash", signRSA(k.rsa, pss(8), ps, otherClaims), errSignature},
		{"PSS: longest salt", signRSA(k.rsa, pss(rsa.PSSSaltLengthAuto), ps, otherClaims), errSignature},
		{"PSS: a PKCS #1 v1.5 signature", signRSA(k.rsa, crypto.SHA256, ps, otherClaims), errSignature},
		{"RSA: zeros", withSignature(signRSA(k.rsa, crypto.SHA256, `{"alg":"RS256","kid":"other-rs"}`, otherClaims), make([]byte, 256)), errSignature},
	}
}

func lastPart(token string) string { return token[strings.LastIndexByte(token, '.')+1:] }

func withSignature(token string, signature []byte) string {
	return token[:strings.LastIndexByte(token, '.')+1] + b64(string(signature))
}

// addOrder gives an Ed25519 signature whose scalar is not reduced: S + L, little-endian (RFC 8032 §5.1.7).
func addOrder(signature []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	scalar := new(big.Int).SetBytes(reversed(signature[32:]))
	sum := new(big.Int).Add(scalar, order).FillBytes(make([]byte, 32))
	return append(signature[:32:32], reversed(sum)...)
}

func reversed(b []byte) []byte {
	r := make([]byte, len(b))
	for i := range b {
		r[len(b)-1-i] = b[i]
	}
	return r
}

func asn1Zeros(t *testing.T) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int), new(big.Int)})
	if err != nil {
		t.Fatal(err)
	}
	return der
}
