package rollup_test

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/rollup"
)

var leaf = [32]byte{7, 7, 7}

// few has some sums of two subjects.
func few(t testing.TB) *rollup.Rollup {
	t.Helper()
	r := rollup.New(start)
	for i := range int64(20) {
		charge := core.Charge{Admitted: start.Add(-time.Duration(i*i) * time.Hour), Requests: 1, InputTokens: i, OutputTokens: 1 << i, Cost: 9}
		if err := r.Add(i+1, subjects[i%2], charge); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// sealed ends b with its hash, as a file ends.
func sealed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(b[:len(b):len(b)], sum[:]...)
}

// sums are all that a Rollup holds.
func sums(t testing.TB, r *rollup.Rollup) map[quota.Subject][]core.Charge {
	t.Helper()
	all := map[quota.Subject][]core.Charge{}
	if err := r.Each(func(s quota.Subject, c core.Charge) error {
		all[s] = append(all[s], c)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// A file that was cut anywhere, or of which any byte was changed, is refused.
func TestDamagedFilesAreRefused(t *testing.T) {
	r := few(t)
	whole := r.Encode(leaf)
	got, read, err := rollup.Decode(whole, start)
	if err != nil || read != leaf || got.Position() != 20 || !got.Since().Equal(r.Since()) {
		t.Fatalf("the whole file: %v", err)
	}
	if diff := cmp.Diff(sums(t, r), sums(t, got)); diff != "" {
		t.Errorf("sums (-written +read):\n%s", diff)
	}
	for n := range whole {
		if _, _, err := rollup.Decode(whole[:n], start); !errors.Is(err, rollup.ErrForm) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
		changed := append([]byte(nil), whole...)
		changed[n] ^= 0x40
		if _, _, err := rollup.Decode(changed, start); !errors.Is(err, rollup.ErrForm) {
			t.Fatalf("byte %d changed: %v", n, err)
		}
	}
	if _, _, err := rollup.Decode(append(whole, 0), start); !errors.Is(err, rollup.ErrForm) {
		t.Errorf("a byte more: %v", err)
	}
}

// What is whole and cannot be meant is refused, too: another version, numbers out of range, a subject that comes twice.
func TestForeignFilesAreRefused(t *testing.T) {
	head := append([]byte("plumbline rollup 1\n"), leaf[:]...)
	subject := "\x03ann\x00\x00\x00"
	for name, body := range map[string]string{
		"nothing":             "",
		"position 0":          "\x00\x00",
		"position too large":  "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00",
		"a name too long":     "\x05\x00\x7fann",
		"no rows":             "\x05\x00" + subject + "\x00",
		"more rows than fit":  "\x05\x00" + subject + "\xff\xff\xff\x7f\x00\x01\x01\x01\x01\x01",
		"a row of no length":  "\x05\x00" + subject + "\x01\x00\x00\x01\x01\x01\x01",
		"a row of years":      "\x05\x00" + subject + "\x01\x00\xff\xff\xff\x7f\x01\x01\x01\x01",
		"rows out of order":   "\x05\x00" + subject + "\x02\x04\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01",
		"a start beyond time": "\x05\x00" + subject + "\x01\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x01\x01\x01\x01",
		"amount out of range": "\x05\x00" + subject + "\x01\x00\x01\xff\xff\xff\xff\xff\xff\x7f\x01\x01\x01",
		"a subject twice":     "\x05\x00" + subject + "\x01\x00\x01\x01\x01\x01\x01" + subject + "\x01\x00\x01\x01\x01\x01\x01",
		"half a row":          "\x05\x00" + subject + "\x01\x00\x01\x01\x01\x01",
	} {
		if _, _, err := rollup.Decode(sealed(append(head[:len(head):len(head)], body...)), start); !errors.Is(err, rollup.ErrForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
	fine := sealed(append(head[:len(head):len(head)], "\x05\x00"+subject+"\x01\x00\x01\x01\x01\x01\x01"...))
	if _, _, err := rollup.Decode(fine, start); err != nil {
		t.Errorf("what is right: %v", err)
	}
	for name, b := range map[string]string{
		"later version": "plumbline rollup 2\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "text": "hello\n", "empty": "",
	} {
		if _, _, err := rollup.Decode(sealed([]byte(b)), start); !errors.Is(err, rollup.ErrForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzDecode: whatever a file holds, reading it ends, and what is read is sums that can be written and read again.
func FuzzDecode(f *testing.F) {
	whole := few(f).Encode(leaf)
	f.Add(whole[:len(whole)-sha256.Size])
	f.Add([]byte("plumbline rollup 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = rollup.Decode(b, start)
		r, leaf, err := rollup.Decode(sealed(b), start)
		if err != nil {
			return
		}
		before := sums(t, r)
		for _, charges := range before {
			for _, c := range charges {
				if err := quota.ChargeAmounts(c).Validate(); err != nil {
					t.Fatal(err)
				}
			}
		}
		again, _, err := rollup.Decode(r.Encode(leaf), start)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, sums(t, again)); diff != "" {
			t.Fatalf("sums (-read +read again):\n%s", diff)
		}
	})
}

func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "quota.sums")
	if _, _, err := rollup.Load(path, start); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for range 2 { // the second replaces the first
		if err := rollup.Save(path, few(t).Encode(leaf)); err != nil {
			t.Fatal(err)
		}
	}
	if got, read, err := rollup.Load(path, start); err != nil || read != leaf || got.Position() != 20 {
		t.Errorf("Load: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want only its owner to read it", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v; want the one file", left, err)
	}
	if err := rollup.Save(filepath.Join(dir, "missing", "x"), nil); err == nil {
		t.Error("saved into a directory that is not there")
	}
	if err := os.Truncate(path, 513<<20); err != nil {
		t.Fatal(err)
	}
	if _, _, err := rollup.Load(path, start); !errors.Is(err, rollup.ErrForm) {
		t.Errorf("a file that is too large: %v", err)
	}
	if _, _, err := rollup.Load(dir, start); !errors.Is(err, rollup.ErrForm) {
		t.Errorf("a directory: %v", err)
	}
}
