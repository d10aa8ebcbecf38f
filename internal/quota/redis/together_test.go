package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// sky is a server of which a test says when each batch lands. All of it runs in a bubble.
type sky struct {
	together
	mu      sync.Mutex
	flights []*flight // in the order in which they were sent
}

// flight is a batch on its way.
type flight struct {
	ctx   context.Context // what a test looks at
	calls []string
	land  chan struct{}
}

func newSky() *sky {
	s := &sky{}
	s.send = func(ctx context.Context, commands []*redis.SliceCmd) {
		f := &flight{ctx: ctx, land: make(chan struct{})}
		for _, cmd := range commands {
			f.calls = append(f.calls, cmd.Args()[0].(string))
		}
		s.mu.Lock()
		s.flights = append(s.flights, f)
		s.mu.Unlock()
		select {
		case <-f.land:
		case <-ctx.Done():
		}
		for _, cmd := range commands {
			if err := ctx.Err(); err != nil {
				cmd.SetErr(err)
			} else {
				cmd.SetVal([]any{cmd.Args()[0]})
			}
		}
	}
	return s
}

// result is what one caller gets, once it has it.
type result struct {
	err  error
	text any
	took time.Duration
	done chan struct{}
}

// call has a caller wait for an answer, and is back when it does.
func (s *sky) call(ctx context.Context, name string) *result {
	r := &result{done: make(chan struct{})}
	began := time.Now()
	go func() {
		defer close(r.done)
		cmd := redis.NewSliceCmd(ctx, name)
		if r.err = s.do(ctx, cmd); r.err == nil {
			if r.err = cmd.Err(); r.err == nil {
				r.text = cmd.Val()[0]
			}
		}
		r.took = time.Since(began)
	}()
	synctest.Wait()
	return r
}

// calls does so for many, one after the other.
func (s *sky) calls(ctx context.Context, from, to int) (all []*result) {
	for i := from; i < to; i++ {
		all = append(all, s.call(ctx, strconv.Itoa(i)))
	}
	return all
}

func (s *sky) flight(i int) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flights[i]
}

func (s *sky) sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.flights)
}

// land lets some flights land, and is back when what follows them has left.
func (s *sky) land(from, to int) {
	for i := from; i < to; i++ {
		close(s.flight(i).land)
		synctest.Wait()
	}
}

func numbered(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, strconv.Itoa(i))
	}
	return all
}

func wantAnswers(t *testing.T, all ...*result) {
	t.Helper()
	for i, r := range all {
		<-r.done
		if r.err != nil || r.text == nil {
			t.Errorf("caller %d: %v, %v", i, r.text, r.err)
		}
	}
}

// A call goes at once while few are on their way; those that wait go in the order in which they came, in as few batches as
// may be, and each caller has the answer of its own.
func TestCallsWaitInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSky()
		all := s.calls(t.Context(), 0, flights+2*maxTogether+5)
		if n := s.sent(); n != flights {
			t.Fatalf("%d batches are on their way, want %d", n, flights)
		}
		s.land(0, 3)
		for i, want := range [][]string{
			{"0"},
			{"1"},
			{"2"},
			{"3"},
			numbered(flights, flights+maxTogether), numbered(flights+maxTogether, flights+2*maxTogether),
			numbered(flights+2*maxTogether, flights+2*maxTogether+5),
		} {
			if diff := cmp.Diff(want, s.flight(i).calls); diff != "" {
				t.Errorf("batch %d (-want +got):\n%s", i, diff)
			}
		}
		s.land(3, 7)
		wantAnswers(t, all...)
		for i, r := range all {
			if r.text != strconv.Itoa(i) {
				t.Errorf("caller %d has the answer %v", i, r.text)
			}
		}
		if s.flying != 0 || s.waiting != nil {
			t.Errorf("%d fly, %d wait when all is done", s.flying, len(s.waiting))
		}
	})
}

// A caller leaves at its own deadline and not later, and its batch lasts for those who have more time.
func TestCallerLeavesItsBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSky()
		s.calls(t.Context(), 0, flights) // the others wait
		short, cancel := context.WithTimeout(t.Context(), 25*time.Millisecond)
		defer cancel()
		long, cancel2 := context.WithTimeout(t.Context(), time.Second)
		defer cancel2()
		gone, leave := context.WithTimeout(t.Context(), time.Hour)
		hasty, patient, left := s.call(short, "hasty"), s.call(long, "patient"), s.call(gone, "left")
		s.land(0, 1)
		batch := s.flight(flights)
		if diff := cmp.Diff([]string{"hasty", "patient", "left"}, batch.calls); diff != "" {
			t.Fatal(diff)
		}
		leave()
		if <-left.done; !errors.Is(left.err, context.Canceled) || left.took != 0 {
			t.Errorf("who left: %v after %v", left.err, left.took)
		}
		if <-hasty.done; !errors.Is(hasty.err, context.DeadlineExceeded) || hasty.took != 25*time.Millisecond {
			t.Errorf("who had 25 ms: %v after %v", hasty.err, hasty.took)
		}
		if batch.ctx.Err() != nil {
			t.Error("the batch ended with a caller")
		}
		s.land(flights, flights+1)
		wantAnswers(t, patient)
		s.land(1, flights)
	})
}

// A batch ends when the last of its callers has no time left, so that a silent server holds up nobody for longer.
func TestBatchEndsWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSky()
		s.calls(t.Context(), 0, flights)
		for _, d := range []time.Duration{time.Second, 25 * time.Millisecond, 2 * time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			s.call(ctx, d.String())
		}
		s.land(0, 1)
		end, ok := s.flight(flights).ctx.Deadline()
		if !ok || time.Until(end) != 2*time.Second {
			t.Errorf("the batch lasts for %v", time.Until(end))
		}
		<-s.flight(flights).ctx.Done()
		synctest.Wait()
		if s.flying != flights-1 {
			t.Errorf("%d batches fly after one has ended", s.flying)
		}
		free := s.call(t.Context(), "without an end") // and so is its batch
		if _, ok := s.flight(flights + 1).ctx.Deadline(); ok {
			t.Error("a batch ends although its caller has time without end")
		}
		s.land(1, flights)
		s.land(flights+1, flights+2)
		wantAnswers(t, free)
	})
}

// Who has left is not sent for. A caller who learns that its call is done before it learns that its time is over has an error
// and no answer.
func TestWhoLeftIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSky()
		s.calls(t.Context(), 0, flights)
		gone, leave := context.WithCancel(t.Context())
		left, stays := s.call(gone, "left"), s.call(t.Context(), "stays")
		leave()
		synctest.Wait()
		s.land(0, 1)
		if diff := cmp.Diff([]string{"stays"}, s.flight(flights).calls); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		if <-left.done; !errors.Is(left.err, context.Canceled) {
			t.Errorf("who left: %v", left.err)
		}
		late := &call{ctx: gone, cmd: redis.NewSliceCmd(gone, "late"), done: make(chan struct{})}
		sent := s.sent()
		s.flying++
		s.fly([]*call{late})
		if err := late.cmd.Err(); !errors.Is(err, context.Canceled) || s.sent() != sent {
			t.Errorf("the call of who left: %v, sent %t", err, s.sent() != sent)
		}
		s.land(1, flights+1)
		wantAnswers(t, stays)
	})
}

// While the server is silent, calls that wait are bounded: one more is refused at once, and those whose callers left make room.
func TestCallsThatWaitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSky()
		s.calls(t.Context(), 0, flights)
		gone, leave := context.WithCancel(t.Context())
		for range 100 {
			s.call(gone, "leaves")
		}
		var waiting []*result
		for i := range maxWaiting - 100 {
			waiting = append(waiting, s.call(t.Context(), strconv.Itoa(i)))
		}
		if r := s.call(t.Context(), "more"); !errors.Is(r.err, errCrowded) || r.took != 0 {
			t.Errorf("one more than may wait: %v after %v", r.err, r.took)
		}
		leave()
		synctest.Wait()
		for range 100 {
			waiting = append(waiting, s.call(t.Context(), "has room"))
		}
		if r := s.call(t.Context(), "more"); !errors.Is(r.err, errCrowded) {
			t.Errorf("one more than may wait: %v", r.err)
		}
		if n := len(s.waiting); n != maxWaiting {
			t.Errorf("%d wait", n)
		}
		for i := 0; i < s.sent(); i++ {
			s.land(i, i+1)
		}
		wantAnswers(t, waiting...)
	})
}

// Whatever callers do, each has an answer or its own error, and nothing is left of them. Run with the race detector.
func TestCallersComeAndGo(t *testing.T) {
	var all sync.WaitGroup
	answered := make([]int, 8)
	s := &together{send: func(ctx context.Context, commands []*redis.SliceCmd) {
		for i, cmd := range commands {
			if i%7 == 6 {
				cmd.SetErr(errors.New("of this one"))
				continue
			}
			cmd.SetVal([]any{cmd.Args()[0]})
		}
	}}
	for w := range answered {
		all.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithCancel(context.Background())
				if i%3 == 0 {
					go cancel()
				}
				cmd := redis.NewSliceCmd(ctx, fmt.Sprint(w, "-", i))
				if err := s.do(ctx, cmd); err == nil && cmd.Err() == nil {
					answered[w]++
					if got := cmd.Val()[0]; got != fmt.Sprint(w, "-", i) {
						t.Errorf("%d-%d has the answer %v", w, i, got)
					}
				}
				cancel()
			}
		})
	}
	all.Wait()
	if n := slices.Min(answered); n < 100 {
		t.Errorf("a caller had %d answers of 500", n)
	}
	for fly := true; fly; { // the last batch may have told its callers and not yet have gone
		s.mu.Lock()
		fly = s.flying > 0
		s.mu.Unlock()
	}
	if s.waiting != nil {
		t.Errorf("%d calls wait for nobody", len(s.waiting))
	}
}

// wire is a server that reads whole commands and answers each with its name, when it is told to.
type wire struct {
	pair   func() (ours, theirs net.Conn, err error)
	mu     sync.Mutex
	seen   [][]string // the commands of each connection
	silent int        // how many connections are cut once they sent so many commands, without an answer
	after  int
	hold   chan struct{} // closed when answers may come, nil for at once
}

func (w *wire) client() *redis.Client {
	return redis.NewClient(&redis.Options{
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs, err := w.pair()
			if err != nil {
				return nil, err
			}
			w.mu.Lock()
			w.seen = append(w.seen, nil)
			n := len(w.seen) - 1
			w.mu.Unlock()
			go w.serve(theirs, n)
			return ours, nil
		},
		Protocol: 2, DisableIdentity: true, MaxRetries: retries, PoolSize: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// serve answers what comes on one connection, or cuts it.
func (w *wire) serve(conn net.Conn, n int) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		name, err := readCommand(in)
		if err != nil {
			return
		}
		if name == "hello" { // the client's greeting: an older server does not know it
			if _, err := io.WriteString(conn, "-ERR unknown command\r\n"); err != nil {
				return
			}
			continue
		}
		w.mu.Lock()
		w.seen[n] = append(w.seen[n], name)
		cut := n < w.silent && len(w.seen[n]) == w.after
		mute := n < w.silent
		w.mu.Unlock()
		if cut {
			return
		}
		if mute {
			continue
		}
		if w.hold != nil {
			<-w.hold
		}
		if _, err := fmt.Fprintf(conn, "*1\r\n$%d\r\n%s\r\n", len(name), name); err != nil {
			return
		}
	}
}

// readCommand reads an array of texts and gives the first.
func readCommand(in *bufio.Reader) (name string, err error) {
	count, err := readLine(in, "*")
	for i := 0; i < count && err == nil; i++ {
		var size int
		if size, err = readLine(in, "$"); err != nil {
			return "", err
		}
		text := make([]byte, size+2)
		if _, err = io.ReadFull(in, text); i == 0 {
			name = string(text[:size])
		}
	}
	return name, err
}

func readLine(in *bufio.Reader, kind string) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, kind)))
}

// A batch whose connection breaks before its answers come is sent again as a whole and in its order, and each caller has one
// answer. It is not sent for ever.
func TestBatchIsSentAgain(t *testing.T) {
	for _, tt := range []struct{ silent, connections int }{{0, 1}, {1, 2}, {retries, retries + 1}, {retries + 1, retries + 1}} {
		t.Run(fmt.Sprint(tt.silent), func(t *testing.T) {
			w := &wire{silent: tt.silent, after: 3, pair: sockets(t)}
			client := w.client()
			defer client.Close()
			ctx := t.Context()
			commands := []*redis.SliceCmd{redis.NewSliceCmd(ctx, "a"), redis.NewSliceCmd(ctx, "b"), redis.NewSliceCmd(ctx, "c")}
			inOneWrite(ctx, client, commands)
			for _, cmd := range commands {
				lost := tt.silent > retries
				if (cmd.Err() != nil) != lost || !lost && cmd.Val()[0] != cmd.Args()[0] {
					t.Errorf("%d connections break: %v has %v, %v", tt.silent, cmd.Args()[0], cmd.Val(), cmd.Err())
				}
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.seen) != tt.connections {
				t.Errorf("%d connections break: %d were made, want %d", tt.silent, len(w.seen), tt.connections)
			}
			for i, seen := range w.seen {
				if diff := cmp.Diff([]string{"a", "b", "c"}, seen); diff != "" {
					t.Errorf("connection %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

// pipes gives connections inside of a bubble.
func pipes() (ours, theirs net.Conn, err error) {
	ours, theirs = net.Pipe()
	return ours, theirs, nil
}

// sockets gives real ones, whose ends are seen as those of a server are.
func sockets(t *testing.T) func() (ours, theirs net.Conn, err error) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lis.Close() })
	return func() (ours, theirs net.Conn, err error) {
		if ours, err = net.Dial("tcp", lis.Addr().String()); err != nil {
			return nil, nil, err
		}
		theirs, err = lis.Accept()
		return ours, theirs, err
	}
}

// A client that is closed leaves no caller waiting: what is on its way has its answer or an error, and what comes later an
// error at once.
func TestCloseLeavesNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{hold: make(chan struct{}), pair: pipes}
		client := w.client()
		s := &sky{}
		s.send = func(ctx context.Context, commands []*redis.SliceCmd) { inOneWrite(ctx, client, commands) }
		all := s.calls(t.Context(), 0, flights+10)
		client.Close()
		close(w.hold)
		for i, r := range all {
			<-r.done
			if (r.text == nil) == (r.err == nil) {
				t.Errorf("caller %d: %v, %v", i, r.text, r.err)
			}
		}
		late := s.call(t.Context(), "late")
		if <-late.done; !errors.Is(late.err, redis.ErrClosed) || late.took != 0 {
			t.Errorf("after the end: %v after %v", late.err, late.took)
		}
		if s.flying != 0 || s.waiting != nil {
			t.Errorf("%d fly and %d wait after the end", s.flying, len(s.waiting))
		}
	})
}
