package detect

import (
	"bytes"
	"encoding/hex"
	"hash/crc32"
	"math"
)

// entropy is how many bits a byte of b holds, by how often each occurs in it (Shannon).
func entropy(b []byte) float64 {
	var count [256]uint16
	for _, c := range b {
		count[c]++
	}
	bits, n := 0.0, float64(len(b))
	for _, k := range count {
		if k > 0 {
			p := float64(k) / n
			bits -= p * math.Log2(p)
		}
	}
	return bits
}

// longRow is how many equal bytes, or bytes that count up, stand in a row in what somebody typed and no issuer drew:
// xxxxxx, 123456.
const longRow = 7

// placeholder reports whether a secret is one that stands for another: from an example, or filled up.
func placeholder(b []byte) bool {
	same, up := 1, 1
	for i := 1; i < len(b); i++ {
		if b[i] == b[i-1] {
			same++
		} else {
			same = 1
		}
		if b[i] == b[i-1]+1 {
			up++
		} else {
			up = 1
		}
		if same >= longRow || up >= longRow {
			return true
		}
	}
	return bytes.Contains(b, []byte("EXAMPLE")) || bytes.Contains(b, []byte("example"))
}

// crc62 checks tokens that end in the CRC-32 of what is before, as six digits in base 62: those of GitHub and npm.
// Source: github.blog, "Behind GitHub's new authentication token formats", and "npm has a new access token format".
func crc62(body []byte) bool {
	random, sum := body[:len(body)-sumLength], body[len(body)-sumLength:]
	return isBase62(sum, crc32.ChecksumIEEE(random), base62)
}

// sumLength is how many digits a CRC-32 has in base 62.
const sumLength = 6

// isBase62 reports whether digits are a number in base 62, in an alphabet of digits.
func isBase62(digits []byte, n uint32, alphabet string) bool {
	for i := len(digits) - 1; i >= 0; i-- {
		if digits[i] != alphabet[n%62] {
			return false
		}
		n /= 62
	}
	return n == 0
}

// crcOwn checks Plumbline's own app keys (identity.NewAppKey): the checksum is of the prefix as well, and small letters count
// before large ones.
func crcOwn(body []byte) bool {
	const prefix = "pl_"
	random, sum := body[:len(body)-sumLength], body[len(body)-sumLength:]
	crc := crc32.Update(crc32.ChecksumIEEE([]byte(prefix)), crc32.IEEETable, random)
	return isBase62(sum, crc, digits+lowers+uppers)
}

// crcGrafana checks tokens of Grafana's service accounts: 32 letters and digits, and the CRC-32 of what is before the last
// part, prefix included, as hexadecimal of its bytes from the lowest. Source: grafana/grafana, pkg/components/satokengen.
func crcGrafana(body []byte) bool {
	const prefix, secret = "glsa_", 32
	if len(body) != secret+1+8 {
		return false
	}
	var key [len(prefix) + secret]byte
	copy(key[:], prefix)
	copy(key[len(prefix):], body[:secret])
	sum := crc32.ChecksumIEEE(key[:])
	var text [8]byte
	hex.Encode(text[:], []byte{byte(sum), byte(sum >> 8), byte(sum >> 16), byte(sum >> 24)})
	return bytes.EqualFold(text[:], body[secret+1:])
}

// bech32Age checks the secret keys of age, which end in a checksum of Bech32. Source: BIP 173; age's format (C2SP age).
func bech32Age(body []byte) bool {
	const alphabet, human = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", "age-secret-key-"
	sum := uint32(1)
	step := func(v byte) {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range [...]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	for i := range len(human) {
		step(human[i] >> 5)
	}
	step(0)
	for i := range len(human) {
		step(human[i] & 31)
	}
	for _, c := range body {
		i := bytes.IndexByte([]byte(alphabet), c)
		if i < 0 {
			return false
		}
		step(byte(i))
	}
	return sum == 1
}

// mixed reports whether large and small letters and digits are all there, as in what was drawn at random.
func mixed(body []byte) bool {
	var up, low, num int
	for _, c := range body {
		switch {
		case upper(c):
			up++
		case digit(c):
			num++
		case c >= 'a' && c <= 'z':
			low++
		}
	}
	return up >= 2 && low >= 2 && num >= 2
}

// scrambled is mixed for what else could be a name in a program: small and large letters and digits follow one another
// without an order, as they do in 97 of 100 tokens and not in readUint16LengthPrefixed.
func scrambled(body []byte) bool {
	changes := 0
	for i := 1; i < len(body); i++ {
		if sort(body[i]) != sort(body[i-1]) {
			changes++
		}
	}
	return changes*5 >= len(body)*2 && mixed(body)
}

// sort is 0 for a digit, 1 for a large letter and 2 for a small one.
func sort(c byte) int {
	switch {
	case digit(c):
		return 0
	case upper(c):
		return 1
	}
	return 2
}

// Luhn reports whether a row of digits, each as its value, ends in the check digit of ISO/IEC 7812-1.
func Luhn(values []byte) bool {
	sum := 0
	for i, d := range values {
		v := int(d)
		if (len(values)-i)%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// Mod97 reports whether an account of capital letters and digits has the check digits of ISO 13616.
func Mod97(plain []byte) bool {
	rest := 0
	for i := range plain {
		if c := plain[(i+4)%len(plain)]; digit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest == 1
}
