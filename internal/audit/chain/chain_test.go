package chain_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/plumbline/plumbline/internal/audit/chain"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func leafOf(data []byte) [sha256.Size]byte { return sha256.Sum256(append([]byte{0}, data...)) }

// TestRootsOfCertificateTransparency are the roots that RFC 6962's reference implementation gives for its eight test leaves.
func TestRootsOfCertificateTransparency(t *testing.T) {
	var tree chain.Tree
	for i, tt := range []struct{ leaf, root string }{
		{"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
		{"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
		{"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
		{"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
		{"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
		{"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
		{"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
		{"606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
	} {
		data, err := hex.DecodeString(tt.leaf)
		if err != nil {
			t.Fatal(err)
		}
		tree.Append(leafOf(data))
		if root := tree.Root(); hex.EncodeToString(root[:]) != tt.root || tree.Size() != uint64(i)+1 {
			t.Errorf("%d leaves: root %x, want %s", i+1, root, tt.root)
		}
	}
}

// TestRootsAreThoseOfTlog compares with the library's own trees, which keep every hash.
func TestRootsAreThoseOfTlog(t *testing.T) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	var tree chain.Tree
	if want, err := tlog.TreeHash(0, reader); err != nil || tlog.Hash(tree.Root()) != want {
		t.Errorf("the empty tree's root is %v, want %v, %v", tree.Root(), want, err)
	}
	for n := range int64(1030) {
		leaf := leafOf(fmt.Append(nil, n))
		hashes, err := tlog.StoredHashesForRecordHash(n, tlog.Hash(leaf), reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		tree.Append(leaf)
		want, err := tlog.TreeHash(n+1, reader)
		if err != nil || tlog.Hash(tree.Root()) != want {
			t.Fatalf("%d leaves: root %x, want %v, %v", n+1, tree.Root(), want, err)
		}
	}
}

func newKey(t testing.TB) (*chain.Signer, string) {
	t.Helper()
	private, public, err := chain.NewKey(rand.Reader, "plumbline")
	if err != nil {
		t.Fatal(err)
	}
	s, err := chain.NewSigner(private + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return s, public
}

func sign(t testing.TB, s *chain.Signer, writer string, tree *chain.Tree) chain.Checkpoint {
	t.Helper()
	c, err := s.Sign(writer, tree, noon)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// record is one that a verifier is given.
type record struct {
	writer string
	seq    uint64
	leaf   [sha256.Size]byte
}

// world is what some writers wrote, writer after writer, and the checkpoints that stand elsewhere.
type world struct {
	records     []record
	checkpoints []chain.Checkpoint
	fixed       map[string]uint64 // by writer, what its last checkpoint fixes
}

func newWorld(t testing.TB, r *mathrand.Rand, s *chain.Signer) world {
	w := world{fixed: map[string]uint64{}}
	for i := range 1 + r.IntN(3) {
		name := fmt.Sprint("writer-", i)
		var tree chain.Tree
		for seq := range uint64(1 + r.IntN(40)) {
			leaf := leafOf(fmt.Append(nil, name, seq, r.Uint64()))
			tree.Append(leaf)
			w.records = append(w.records, record{name, seq + 1, leaf})
			if r.IntN(8) == 0 {
				w.checkpoints = append(w.checkpoints, sign(t, s, name, &tree))
				w.fixed[name] = seq + 1
			}
		}
	}
	r.Shuffle(len(w.checkpoints), func(i, j int) { w.checkpoints[i], w.checkpoints[j] = w.checkpoints[j], w.checkpoints[i] })
	return w
}

func verify(records []record, checkpoints []chain.Checkpoint) (chain.Coverage, error) {
	v, err := chain.NewVerifier(checkpoints)
	if err != nil {
		return chain.Coverage{}, err
	}
	for _, r := range records {
		if err := v.Add(r.writer, r.seq, r.leaf); err != nil {
			return chain.Coverage{}, err
		}
	}
	return v.End()
}

// renumber gives the records of each writer dense numbers, as a database owner who covers up would.
func renumber(records []record) {
	last := map[string]uint64{}
	for i := range records {
		last[records[i].writer]++
		records[i].seq = last[records[i].writer]
	}
}

// tamper changes the records at one that a checkpoint fixes, and gives its writer and number.
func tamper(r *mathrand.Rand, w *world) (how string, at record, ok bool) {
	var fixed []int
	for i, rec := range w.records {
		if rec.seq <= w.fixed[rec.writer] {
			fixed = append(fixed, i)
		}
	}
	if len(fixed) == 0 {
		return "", record{}, false
	}
	i := fixed[r.IntN(len(fixed))]
	at = w.records[i]
	other := leafOf(fmt.Append(nil, r.Uint64()))
	switch r.IntN(6) {
	case 0:
		how = "changed"
		w.records[i].leaf = other
	case 1:
		how = "removed"
		w.records = slices.Delete(w.records, i, i+1)
		renumber(w.records)
	case 2:
		how = "added before"
		w.records = slices.Insert(w.records, i, record{at.writer, 0, other})
		renumber(w.records)
	case 3:
		how = "cut off from here"
		w.records = slices.DeleteFunc(w.records, func(rec record) bool { return rec.writer == at.writer && rec.seq >= at.seq })
	case 4:
		how = "the whole writer removed"
		w.records = slices.DeleteFunc(w.records, func(rec record) bool { return rec.writer == at.writer })
	default:
		how = "exchanged with the next"
		if i+1 == len(w.records) || w.records[i+1].writer != at.writer {
			return "", record{}, false
		}
		w.records[i].leaf, w.records[i+1].leaf = w.records[i+1].leaf, w.records[i].leaf
	}
	return how, at, true
}

// TestEveryTamperingIsFound lets a database owner without the key change what checkpoints fix, 10,000 times.
func TestEveryTamperingIsFound(t *testing.T) {
	const rounds = 10_000
	s, _ := newKey(t)
	r := mathrand.New(mathrand.NewPCG(1, 2))
	found := map[string]int{}
	for done := 0; done < rounds; {
		w := newWorld(t, r, s)
		covered, err := verify(w.records, w.checkpoints)
		if err != nil {
			t.Fatalf("untouched records: %v", err)
		}
		var fixed uint64
		for _, n := range w.fixed {
			fixed += n
		}
		if covered.Fixed != fixed || covered.Records != uint64(len(w.records)) {
			t.Fatalf("%+v, want %d of %d fixed", covered, fixed, len(w.records))
		}
		how, at, ok := tamper(r, &w)
		if !ok {
			continue
		}
		done++
		var bad *chain.MismatchError
		_, err = verify(w.records, w.checkpoints)
		if !errors.As(err, &bad) || bad.Writer != at.writer {
			t.Fatalf("%s at %s %d: %v", how, at.writer, at.seq, err)
		}
		if how != "the whole writer removed" && (at.seq < bad.From || at.seq > bad.To) {
			t.Fatalf("%s at %d, and %v is named", how, at.seq, bad)
		}
		found[how]++
	}
	if len(found) != 6 {
		t.Errorf("only these ways were tried: %v", found)
	}
	t.Logf("found: %v", found)
}

func TestGapsAndForks(t *testing.T) {
	s, _ := newKey(t)
	var one, other chain.Tree
	one.Append(leafOf([]byte("a")))
	other.Append(leafOf([]byte("b")))
	_, err := chain.NewVerifier([]chain.Checkpoint{sign(t, s, "w", &one), sign(t, s, "w", &other)})
	if err == nil || !strings.Contains(err.Error(), "two checkpoints of 1 records") {
		t.Errorf("a fork: %v", err)
	}
	for _, tt := range []struct {
		name string
		seqs []uint64
		want string
	}{
		{"a gap", []uint64{1, 3}, "records 2 to 3: number 2 was expected and 3 came"},
		{"a repeat", []uint64{1, 1}, "records 2 to 2: number 2 was expected and 1 came"},
		{"no first", []uint64{2}, "records 1 to 2: number 1 was expected and 2 came"},
	} {
		var records []record
		for _, seq := range tt.seqs {
			records = append(records, record{"w", seq, leafOf(nil)})
		}
		if _, err := verify(records, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestCheckpointsAreSigned(t *testing.T) {
	s, public := newKey(t)
	_, old := newKey(t)
	keys, err := chain.ParseKeys(old, public+"\n")
	if err != nil {
		t.Fatal(err)
	}
	var tree chain.Tree
	tree.Append(leafOf([]byte("a")))
	c := sign(t, s, "writer-1", &tree)
	got, err := keys.Parse(c.Note)
	if err != nil || got.Writer != "writer-1" || got.Size != 1 || got.Root != tree.Root() || !got.Time.Equal(noon) {
		t.Errorf("read back %+v, %v", got, err)
	}
	for i := range c.Note {
		changed := slices.Clone(c.Note)
		changed[i] ^= 1
		if got, err := keys.Parse(changed); err == nil && (got.Size != c.Size || got.Root != c.Root || got.Writer != c.Writer || !got.Time.Equal(c.Time)) {
			t.Fatalf("byte %d changed: %+v is believed", i, got)
		}
	}
	others, err := chain.ParseKeys(old)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := others.Parse(c.Note); err == nil || !strings.Contains(err.Error(), "signed by none of the keys") {
		t.Errorf("with another key: %v", err)
	}
	if _, err := s.Sign("two\nlines", &tree, noon); err == nil {
		t.Error("a writer's name of two lines was signed")
	}
	const secret = "PRIVATE+KEY+plumbline+0+canary"
	if _, err := chain.NewSigner(secret); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("a bad key: %v", err)
	}
	if _, err := chain.ParseKeys(); err == nil {
		t.Error("no key at all is enough")
	}
}

func TestReadFindsCheckpointsInALog(t *testing.T) {
	s, public := newKey(t)
	keys, err := chain.ParseKeys(public)
	if err != nil {
		t.Fatal(err)
	}
	var tree chain.Tree
	var log strings.Builder
	log.WriteString("not JSON\n{\"msg\":\"serving\"}\n\n{\"checkpoint\":7}\n" + strings.Repeat("x\"checkpoint\"", 5000) + "\n")
	var want []uint64
	for i := range 5 {
		tree.Append(leafOf(fmt.Append(nil, i)))
		line, err := json.Marshal(map[string]any{"msg": "checkpoint", chain.Member: string(sign(t, s, "w", &tree).Note)})
		if err != nil {
			t.Fatal(err)
		}
		log.Write(append(line, '\n'))
		want = append(want, tree.Size())
	}
	all, err := chain.Read(strings.NewReader(log.String()), keys)
	var got []uint64
	for _, c := range all {
		got = append(got, c.Size)
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("sizes %v, want %v, %v", got, want, err)
	}
	_, err = chain.Read(strings.NewReader("{}\n"+`{"checkpoint":"plumbline/audit/w\n1\n"}`), keys)
	if err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
		t.Errorf("an unsigned one: %v", err)
	}
}

func TestCheckpointsAreDue(t *testing.T) {
	s, _ := newKey(t)
	w := chain.NewWriter("w", s)
	due := func(at time.Duration) uint64 {
		t.Helper()
		c, ok, err := w.Due(noon.Add(at))
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return 0
		}
		return c.Size
	}
	appendAt := func(at time.Duration, n int) { w.Append(noon.Add(at), make([][sha256.Size]byte, n)...) }

	if n := due(time.Hour); n != 0 {
		t.Errorf("a checkpoint of nothing: %d", n)
	}
	appendAt(0, 999)
	appendAt(9*time.Second, 0)
	if n := due(10*time.Second - 1); n != 0 {
		t.Errorf("999 records in less than 10 s: %d", n)
	}
	if n := due(10 * time.Second); n != 999 {
		t.Errorf("after 10 s: %d", n)
	}
	appendAt(30*time.Second, 1)
	if n := due(39 * time.Second); n != 0 {
		t.Errorf("9 s after the first record behind the last checkpoint: %d", n)
	}
	appendAt(39*time.Second, 999)
	if n := due(39 * time.Second); n != 1999 {
		t.Errorf("after 1,000 records: %d", n)
	}
	if _, ok, _ := w.Last(noon); ok {
		t.Error("a second checkpoint of the same")
	}
	appendAt(40*time.Second, 1)
	if c, ok, err := w.Last(noon.Add(40 * time.Second)); !ok || c.Size != 2000 || err != nil {
		t.Errorf("at the end: %d, %v", c.Size, err)
	}
}

// FuzzRead: whatever a log holds, what is read from it was signed.
func FuzzRead(f *testing.F) {
	s, public := newKey(f)
	keys, err := chain.ParseKeys(public)
	if err != nil {
		f.Fatal(err)
	}
	var tree chain.Tree
	line, err := json.Marshal(map[string]string{chain.Member: string(sign(f, s, "w", &tree).Note)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(line))
	f.Add("")
	f.Add(`{"checkpoint":"plumbline/audit/w\n1\nAAAA\ntime 2026-03-04T12:00:00Z\n\n— plumbline AAAA\n"}`)
	f.Fuzz(func(t *testing.T, log string) {
		all, err := chain.Read(strings.NewReader(log), keys)
		if err != nil && len(all) > 0 {
			t.Error("checkpoints and an error")
		}
		for _, c := range all {
			again, err := keys.Parse(c.Note)
			if err != nil || again.Root != c.Root || again.Size != c.Size || again.Writer != c.Writer {
				t.Errorf("%+v was read, and %+v, %v again", c, again, err)
			}
		}
	})
}

// BenchmarkVerify is a record through the verifier, its hash made already.
func BenchmarkVerify(b *testing.B) {
	s, _ := newKey(b)
	const every = 1000
	var tree chain.Tree
	var checkpoints []chain.Checkpoint
	for i := range b.N {
		tree.Append([sha256.Size]byte{byte(i)})
		if tree.Size()%every == 0 {
			checkpoints = append(checkpoints, sign(b, s, "w", &tree))
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	v, err := chain.NewVerifier(checkpoints)
	if err != nil {
		b.Fatal(err)
	}
	for i := range b.N {
		if err := v.Add("w", uint64(i)+1, [sha256.Size]byte{byte(i)}); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := v.End(); err != nil {
		b.Fatal(err)
	}
}
