package detect

// set is a set of bytes.
type set [256]bool

func newSet(members string) *set {
	var s set
	for i := range len(members) {
		s[members[i]] = true
	}
	return &s
}

const (
	digits   = "0123456789"
	lowers   = "abcdefghijklmnopqrstuvwxyz"
	uppers   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	base62   = digits + uppers + lowers // in the order in which its digits count
	base64ed = uppers + lowers + digits + "+/"
)

// sets are the alphabets of the formats, by the letter that stands for them in a shape.
var sets = map[byte]*set{
	'd': newSet(digits),
	'h': newSet(digits + "abcdef"),
	'x': newSet(digits + "abcdefABCDEF"),
	'a': newSet(lowers + digits),
	'A': newSet(uppers + digits),
	'l': newSet(lowers + uppers),
	'n': newSet(base62),
	'w': newSet(base62 + "_"),
	't': newSet(base62 + "_-"),
	'u': newSet(base62 + "_-="),
	'v': newSet(base62 + "_-=."),
	'k': newSet(base62 + "_-~."),
	'p': newSet(base62 + "%"),
	'b': newSet(base64ed),
	'B': newSet(base64ed + "="),
	'2': newSet("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), // base32, RFC 4648
	'y': newSet(lowers + digits + "-"),
	's': newSet(base62 + "!#$%&()*+,-./:;<=>?@[]^_{|}~"),
	'q': newSet("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"), // bech32, BIP 173
}

var (
	alphanumerics = sets['n']
	hexDigits     = sets['x']
)

func alphanumeric(c byte) bool { return alphanumerics[c] }

func digit(c byte) bool { return c-'0' <= 9 }

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }
