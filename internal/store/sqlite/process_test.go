package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/sqlite"
)

// childFile names the database in the environment of the second process.
const childFile = "PLUMBLINE_TEST_CHILD_FILE"

// pair is one change of two objects: both are there or none is.
func pair(who string, i int) store.Objects {
	id := fmt.Sprintf("%s-%d", who, i)
	return store.Objects{Teams: []core.Team{{ID: id}}, Users: []core.User{{ID: id, Team: id}}}
}

// child is the second process. It reads how many changes to make, makes them and names each, again and again until it is
// killed.
func child(path string) error {
	ctx := store.WithActor(context.Background(), "child")
	st, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	defer st.Close()
	for i := 0; ; {
		var more int
		if _, err := fmt.Scan(&more); err != nil {
			return err
		}
		for ; more > 0; more-- {
			if err := st.Apply(ctx, pair("child", i)); err != nil {
				return err
			}
			fmt.Println(i)
			i++
		}
	}
}

// TestTwoProcesses: the command line changes the file while Plumbline serves and changes it too, and dies in the middle.
func TestTwoProcesses(t *testing.T) {
	const changes = 30
	path := filepath.Join(t.TempDir(), "plumbline.db")
	st := open(t, path)
	d, err := store.NewDirectory(t.Context(), store.DirectoryOptions{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childFile+"="+path)
	cmd.Stderr = os.Stderr
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() // it was killed
	defer cmd.Process.Kill()
	acks := bufio.NewScanner(out)
	for i := range changes {
		// Both write at once.
		if _, err := fmt.Fprintln(in, 1); err != nil {
			t.Fatal(err)
		}
		if err := st.Apply(t.Context(), pair("parent", i)); err != nil {
			t.Fatalf("while the other process writes: %v", err)
		}
		if !acks.Scan() || acks.Text() != fmt.Sprint(i) {
			t.Fatalf("the other process says %q, want %d", acks.Text(), i)
		}
		if err := d.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, ok := d.Snapshot().User(fmt.Sprint("child-", i)); !ok {
			t.Fatalf("a refresh does not show change %d of the other process", i)
		}
	}
	if _, err := fmt.Fprintln(in, 1_000_000); err != nil {
		t.Fatal(err)
	}
	acked := changes - 1
	for acks.Scan() {
		acked++
		if acked == 2*changes {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if acked < 2*changes {
		t.Fatalf("the other process made %d changes before it ended", acked)
	}

	got, version, err := st.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, u := range got.Users {
		have[u.ID] = true
	}
	for i := range acked + 1 {
		if !have[fmt.Sprint("child-", i)] {
			t.Errorf("change %d was reported as made and is not there", i)
		}
	}
	for i := range changes {
		if !have[fmt.Sprint("parent-", i)] {
			t.Errorf("change %d of this process is not there", i)
		}
	}
	if len(got.Teams) != len(got.Users) {
		t.Errorf("%d teams and %d users: a change is there by half", len(got.Teams), len(got.Users))
	}
	feed, err := st.Changes(t.Context(), 0, 1_000_000)
	if err != nil || len(feed) != len(got.Teams)+len(got.Users) || feed[len(feed)-1].Version != version {
		t.Errorf("%d changes up to version %d for %d objects, %v", len(feed), version, len(got.Teams)+len(got.Users), err)
	}
	if err := st.Apply(t.Context(), pair("after", 0)); err != nil {
		t.Errorf("after the death of the other process: %v", err)
	}
	if sound := texts(t, openFile(t, path), "PRAGMA integrity_check"); len(sound) != 1 || sound[0] != "ok" {
		t.Errorf("the file is not sound: %v", sound)
	}
}
