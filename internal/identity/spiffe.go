package identity

import (
	"errors"
	"strings"
)

// spiffeScheme begins every SPIFFE id.
const spiffeScheme = "spiffe://"

// Bounds of a SPIFFE id, in bytes (SPIFFE-ID §2.4, §2.1).
const (
	maxSPIFFE      = 2048
	maxTrustDomain = 255
)

var errSPIFFE = errors.New("not a SPIFFE id")

// spiffeID names a workload (SPIFFE-ID §2): the trust domain that vouches for it, and the segments of its path.
type spiffeID struct {
	domain   string
	segments []string
}

// parseSPIFFE reads a SPIFFE id in its one plain form, "spiffe://domain/a/b". What a URI allows beside, and two readers
// could take for different things, is refused: upper case in the trust domain, user, port, query, fragment, percent signs,
// segments that are empty or of dots, and an id without a path, which names a trust domain and no workload.
func parseSPIFFE(s string) (spiffeID, error) {
	rest, ok := strings.CutPrefix(s, spiffeScheme)
	if !ok || len(s) > maxSPIFFE {
		return spiffeID{}, errSPIFFE
	}
	domain, path, ok := strings.Cut(rest, "/")
	if !ok || !isTrustDomain(domain) {
		return spiffeID{}, errSPIFFE
	}
	id := spiffeID{domain, strings.Split(path, "/")}
	for _, segment := range id.segments {
		if !isSegment(segment) {
			return spiffeID{}, errSPIFFE
		}
	}
	return id, nil
}

func (id spiffeID) String() string {
	return spiffeScheme + id.domain + "/" + strings.Join(id.segments, "/")
}

func isTrustDomain(s string) bool {
	if s == "" || len(s) > maxTrustDomain {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && !isDigit(c) && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func isSegment(s string) bool {
	if s == "" || s == "." || s == ".." {
		return false
	}
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
