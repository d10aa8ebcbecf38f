package pgproc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("PGPROC_CHILD") != "" {
		child()
	}
	goleak.VerifyTestMain(m)
}

func TestDatabaseFromTemplate(t *testing.T) {
	made := 0
	template := Template{Name: "numbers", Make: func(ctx context.Context, url string) error {
		made++
		c, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		_, err = c.Exec(ctx, "CREATE TABLE numbers (n int); INSERT INTO numbers VALUES (7)")
		return errors.Join(err, c.Close(ctx))
	}}
	s := Shared(t)
	one, other := s.Database(t, template), s.Database(t, template)
	one.Exec(t, "DELETE FROM numbers")
	if n := One[int](t, other, "SELECT n FROM numbers"); n != 7 || made != 1 {
		t.Errorf("another test's database has %d, and the template was made %d times", n, made)
	}
}

func TestRolesNeedTheirPassword(t *testing.T) {
	d := Shared(t).Database(t, Template{})
	role := d.Role(t)
	c, err := pgx.Connect(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "CREATE TABLE public.x (n int)"); err == nil {
		t.Error("a role without rights makes a table")
	}
	_ = c.Close(t.Context())
	if _, err := pgx.Connect(t.Context(), strings.Replace(role, "role-password", "guess", 1)); err == nil {
		t.Error("a wrong password is taken")
	}
}

func TestStopKillPauseAndStandby(t *testing.T) {
	s := Start(t, Options{Fsync: true, Settings: []string{"max_connections = 20"}})
	d := s.Database(t, Template{})
	d.Exec(t, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (3)")
	for name, end := range map[string]func(){"stop": s.Stop, "kill": s.Kill} {
		end()
		if _, err := pgx.Connect(t.Context(), d.URL); err == nil {
			t.Errorf("after %s it answers", name)
		}
		s.Start(t)
		if n := One[int](t, d, "SELECT n FROM kept"); n != 3 {
			t.Errorf("after %s: %d", name, n)
		}
	}
	if most := One[string](t, d, "SHOW max_connections"); most != "20" {
		t.Errorf("max_connections %s", most)
	}

	c, err := pgx.Connect(t.Context(), d.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := c.Ping(ctx); err == nil {
		t.Error("a paused server answers")
	}
	s.Resume()

	s.Standby(t)
	if !One[bool](t, d, "SELECT pg_is_in_recovery()") || One[int](t, d, "SELECT n FROM kept") != 3 {
		t.Error("no standby")
	}
	s.Promote(t)
	d.Exec(t, "INSERT INTO kept VALUES (4)")
}

// TestNothingStaysBehind: a test program that is killed takes its server and its folder with it.
func TestNothingStaysBehind(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "PGPROC_CHILD=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var dir string
	line, _ := bufio.NewReader(out).ReadString('\n')
	if _, err := fmt.Sscan(line, &pid, &dir); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	_ = cmd.Process.Signal(syscall.SIGKILL)
	_ = cmd.Wait()
	gone := func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err) && !alive(pid)
	}
	for end := time.Now().Add(30 * time.Second); !gone(); <-time.After(pollPause) {
		if time.Now().After(end) {
			t.Fatalf("process %d or folder %s stays", pid, dir)
		}
	}
}

// child starts a server, says where, and waits for its end.
func child() {
	s, err := newServer(Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.pid, s.home.dir)
	select {}
}
