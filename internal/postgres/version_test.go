package postgres

import (
	"strings"
	"testing"
)

func TestServerThatIsTooOld(t *testing.T) {
	for version, want := range map[int]string{90_624: "version 9,", 140_011: "version 14,", 149_999: "version 14,", 150_000: "", 170_002: ""} {
		err := checkVersion(version)
		if want == "" && err == nil {
			continue
		}
		if err == nil || want == "" || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "15 or later: upgrade it") {
			t.Errorf("%d: %v, want %q", version, err, want)
		}
	}
}
