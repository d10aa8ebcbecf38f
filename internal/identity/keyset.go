package identity

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxKeySet is the largest document of a key set, in bytes.
const MaxKeySet = 64 << 10

const maxKeySetKeys = 32

// Why a whole key set is refused.
var (
	errSetSize   = fmt.Errorf("identity: key set: more than %d bytes", MaxKeySet)
	errSetForm   = errors.New("identity: key set: not strict JSON of the expected form")
	errSetKeys   = fmt.Errorf("identity: key set: more than %d keys", maxKeySetKeys)
	errSetSecret = errors.New("identity: key set: holds private or symmetric key material")
	errSetDouble = errors.New("identity: key set: two keys have the same id")
)

// KeySet holds the keys of one issuer by their ids. It does not change.
type KeySet struct {
	keys    map[string]*Key
	reports []KeyReport
}

// Key gives the key with an id.
func (s *KeySet) Key(id string) (*Key, bool) {
	k, ok := s.keys[id]
	return k, ok
}

// Len is the number of keys that can verify signatures.
func (s *KeySet) Len() int { return len(s.keys) }

// Reports says of every key of the document what it is worth, in the order of the document.
func (s *KeySet) Reports() []KeyReport { return slices.Clone(s.reports) }

// KeyReport says what one key of a set is worth. All but Algorithms and Ignored are the issuer's words.
type KeyReport struct {
	ID   string `json:"id"`
	Type string `json:"type"` // kty, with the curve where there is one
	Use  string `json:"use"`
	// Algorithms are those that the key verifies; none when it is ignored.
	Algorithms []string `json:"algorithms"`
	// Ignored says why the key verifies nothing, empty when it does.
	Ignored string `json:"ignored,omitempty"`
}

// ParseKeySet reads a JSON Web Key Set (RFC 7517 §5). allowed are the algorithms that the issuer may use; a key that
// names one is pinned to it, a key that names none to those that fit its type.
//
// Keys that cannot verify a signature here are ignored, as issuers publish encryption keys beside the others: another
// use, an unknown type, no id, no allowed algorithm, a weak or malformed key. The whole set is refused when it holds
// private or symmetric material, when two usable keys share an id, and when it is too large (64 KiB, 32 keys). So is a
// document without the member keys: an error page in JSON must not take every key away.
func ParseKeySet(data []byte, allowed []string) (*KeySet, error) {
	if len(data) > MaxKeySet {
		return nil, errSetSize
	}
	var doc struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(data, &doc); err != nil || doc.Keys == nil {
		return nil, errSetForm
	}
	if len(doc.Keys) > maxKeySetKeys {
		return nil, errSetKeys
	}
	for _, object := range doc.Keys {
		if isSecret(object) {
			return nil, errSetSecret
		}
	}
	set := &KeySet{keys: make(map[string]*Key, len(doc.Keys))}
	for _, object := range doc.Keys {
		if err := set.add(object, allowed); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// add takes a key into the set, or notes why it is of no use.
func (s *KeySet) add(object jsontext.Value, allowed []string) error {
	j, key, useless := usable(object, allowed)
	report := KeyReport{ID: j.Kid, Type: strings.TrimSuffix(j.Kty+" "+j.Crv, " "), Use: j.Use}
	if useless != nil {
		report.Ignored = useless.Error()
	} else {
		if _, double := s.keys[j.Kid]; double {
			return errSetDouble
		}
		s.keys[j.Kid] = key
		report.Algorithms = key.algorithms()
	}
	s.reports = append(s.reports, report)
	return nil
}

func usable(object jsontext.Value, allowed []string) (j jwk, key *Key, err error) {
	if json.Unmarshal(object, &j) != nil {
		return j, nil, errKeyForm
	}
	key, err = j.key(allowed)
	return j, key, err
}

// secretNames are the members of private and symmetric keys (RFC 7518 §6). That they are there is enough to know.
var secretNames = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// isSecret reports whether a key holds what must not be published. Names in other letters count too: whoever reads them
// without regard to case has the secret all the same.
func isSecret(key jsontext.Value) bool {
	if key.Kind() != '{' {
		return false
	}
	secret := false
	err := readObject(key, secretNames, func(name string, value jsontext.Value) error {
		kty, _ := text(value)
		secret = secret || slices.Contains(secretNames, name) || name == "kty" && kty == "oct"
		return nil
	})
	return secret || err != nil
}
