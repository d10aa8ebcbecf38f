package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"
)

// The form of an app key: prefix, 256 random bits, checksum; the numbers in base 62, padded to constant length. The
// checksum is the CRC-32 (IEEE) of all before it. It lets secret scanners be sure of a find, and a typo be told apart
// from a key that is not known, without asking anybody.
const (
	appKeyPrefix   = "pl_"
	appKeyBytes    = 32
	appKeySecret   = 43 // ⌈256 / log₂ 62⌉
	appKeyChecksum = 6  // ⌈32 / log₂ 62⌉
	appKeyHint     = 4

	appKeyBody   = len(appKeyPrefix) + appKeySecret
	appKeyLength = appKeyBody + appKeyChecksum
)

// NewAppKey makes an app key. The key is for its owner alone; the hash (SHA-256 of the whole key) and the hint (the last
// four characters before the checksum) are what may be stored.
func NewAppKey() (key string, hash [32]byte, hint string, err error) {
	var secret [appKeyBytes]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return "", hash, "", fmt.Errorf("identity: new app key: %w", err)
	}
	body := appKeyPrefix + base62(new(big.Int).SetBytes(secret[:]), appKeySecret)
	key = body + checksum(body)
	return key, sha256.Sum256([]byte(key)), body[len(body)-appKeyHint:], nil
}

// ParseAppKey checks form and checksum of an app key and gives the hash under which it is stored. It says nothing about
// whether such a key exists.
func ParseAppKey(s string) (hash [32]byte, ok bool) {
	if len(s) != appKeyLength || !strings.HasPrefix(s, appKeyPrefix) {
		return hash, false
	}
	for _, c := range []byte(s[len(appKeyPrefix):]) {
		if !isAlphanumeric(c) {
			return hash, false
		}
	}
	if checksum(s[:appKeyBody]) != s[appKeyBody:] {
		return hash, false
	}
	return sha256.Sum256([]byte(s)), true
}

func checksum(body string) string {
	return base62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(body)))), appKeyChecksum)
}

// base62 writes n with the digits 0-9a-zA-Z, padded with zeros to width.
func base62(n *big.Int, width int) string {
	digits := n.Text(62)
	return strings.Repeat("0", width-len(digits)) + digits
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
