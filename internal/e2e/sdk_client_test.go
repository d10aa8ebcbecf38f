package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

// sdkCall is one call as the code of an app would make it.
type sdkCall struct {
	ID int `json:"id"`
	// BaseURL and Key are where the client is pointed. Empty: it finds them in its own environment.
	BaseURL string `json:"base_url,omitempty"`
	Key     string `json:"key,omitempty"`
	// Anonymous sends no credential at all.
	Anonymous bool `json:"anonymous,omitempty"`
	// MaxRetries replaces the client's own number of retries, which is two.
	MaxRetries *int `json:"max_retries,omitempty"`
	// Method is the method's path below the client, as Node and Python name it.
	Method string `json:"method"`
	// Args stand before the fields, such as the id of a file.
	Args []string       `json:"args,omitempty"`
	Body map[string]any `json:"body,omitempty"`
	// Extra are fields that the client has no name for, or no such type.
	Extra  map[string]any     `json:"extra,omitempty"`
	Files  map[string]sdkFile `json:"files,omitempty"`
	Stream bool               `json:"stream,omitempty"`
}

type sdkFile struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Data []byte `json:"data"`
}

// sdkResult is what the app got of a call.
type sdkResult struct {
	ID     int               `json:"id"`
	Answer json.RawMessage   `json:"answer"` // one object
	Bytes  []byte            `json:"bytes"`  // or a file
	Chunks []json.RawMessage `json:"chunks"` // or a stream, up to its error if there is one
	Header map[string]string `json:"headers"`
	// RequestID is what the client calls the id of the request.
	RequestID string      `json:"request_id"`
	Error     *sdkFailure `json:"error"`
}

// sdkFailure is what the app sees of an error.
type sdkFailure struct {
	Class     string            `json:"class"`
	Text      string            `json:"text"` // the error printed
	Cause     string            `json:"cause"`
	Status    int               `json:"status"` // 0: there was no answer
	Type      string            `json:"type"`
	Code      string            `json:"code"`
	Param     string            `json:"param"`
	RequestID string            `json:"request_id"`
	Header    map[string]string `json:"headers"`
	// Object is the error object of the body, as the client hands it on.
	Object struct {
		Message   string `json:"message"`
		Plumbline struct {
			Reason    core.Reason `json:"reason"`
			RequestID string      `json:"request_id"`
			ResetAt   *time.Time  `json:"reset_at"`
		} `json:"plumbline"`
	} `json:"object"`
}

// sdk is one of the official clients, with nothing changed but where it connects and its key.
type sdk interface {
	// make makes a call and waits for what comes of it.
	make(t testing.TB, c sdkCall) sdkResult
	// class is the name of the error that stands for a status; 0 is a connection that failed.
	class(status int) string
}

// driver is a client of another language in a process of its own. It makes the calls of many tests at once.
type driver struct {
	names   map[int]string // of errors, by status
	other   string         // of all others below 500
	process *exec.Cmd
	input   io.WriteCloser
	errors  bytes.Buffer  // what it writes to stderr, which is nothing
	ended   chan struct{} // closed when its output has ended

	mu      sync.Mutex
	waiting map[int]chan sdkResult // nil when its output has ended
	last    int
}

// drivers are started by the first test that needs them and serve all: a start of Python takes longer than most tests.
var drivers struct {
	sync.Mutex
	started map[string]*driver
}

// newSDK gives a client.
func newSDK(t testing.TB, language string) sdk {
	t.Helper()
	if language == "go" {
		return goSDK{}
	}
	drivers.Lock()
	defer drivers.Unlock()
	if d := drivers.started[language]; d != nil {
		return d
	}
	d := startDriver(t, language)
	if drivers.started == nil {
		drivers.started = map[string]*driver{}
	}
	drivers.started[language] = d
	return d
}

// stopDrivers ends what newSDK started. It fails when one of them did not serve well.
func stopDrivers() error {
	var failures error
	for _, d := range drivers.started {
		failures = errors.Join(failures, d.stop())
	}
	return failures
}

// startDriver starts a client with these settings in its environment.
func startDriver(t testing.TB, language string, env ...string) *driver {
	t.Helper()
	root := testkit.Root(t)
	source := filepath.Join(root, "internal", "e2e", "testdata", "sdk")
	d := &driver{names: map[int]string{
		0: "APIConnectionError", 400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError", 404: "NotFoundError",
		409: "ConflictError", 422: "UnprocessableEntityError", 429: "RateLimitError", 500: "InternalServerError",
	}, other: "APIError", ended: make(chan struct{}), waiting: map[int]chan sdkResult{}}
	if language == "node" {
		d.process = exec.Command("node", filepath.Join(source, "driver.mjs"), installed(t, filepath.Join(root, ".tools", "node")))
	} else {
		d.process, d.other = exec.Command("python3", filepath.Join(source, "driver.py")), "APIStatusError"
		env = append(env, "PYTHONPATH="+installed(t, filepath.Join(root, ".tools", "py")))
	}
	// No more of this environment: no proxy may stand between, and no key of somebody's be found.
	d.process.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	d.process.Stderr = &d.errors
	var err error
	d.input, err = d.process.StdinPipe()
	must(t, err)
	output, err := d.process.StdoutPipe()
	must(t, err)
	must(t, d.process.Start())
	go d.read(output)
	return d
}

// installed gives a directory that tools/fetch-sdks has filled.
func installed(t testing.TB, dir string) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, ".installed")); err != nil {
		testkit.Missing(t, "the SDK in "+dir+" (tools/fetch-sdks, which make test runs)")
	}
	return dir
}

// stop ends the process.
func (d *driver) stop() error {
	d.input.Close()
	<-d.ended
	err := d.process.Wait()
	if d.errors.Len() > 0 {
		err = errors.Join(err, errors.New(d.errors.String()))
	}
	return err
}

// read hands each result to who waits for it, and at the end none to those who still wait.
func (d *driver) read(output io.Reader) {
	defer close(d.ended)
	for results := json.NewDecoder(output); ; {
		var r sdkResult
		err := results.Decode(&r)
		d.mu.Lock()
		if err != nil {
			for _, waits := range d.waiting {
				close(waits)
			}
			d.waiting = nil
			d.mu.Unlock()
			return
		}
		if waits := d.waiting[r.ID]; waits != nil {
			waits <- r
			delete(d.waiting, r.ID)
		}
		d.mu.Unlock()
	}
}

func (d *driver) make(t testing.TB, c sdkCall) sdkResult {
	t.Helper()
	waits, err := d.send(c)
	if err != nil {
		t.Fatalf("the driver does not take %s: %v", c.Method, err)
	}
	timer := time.NewTimer(2 * time.Minute) // longer than any client waits before it tries again
	defer timer.Stop()
	select {
	case r, ok := <-waits:
		if !ok {
			t.Fatalf("the driver ended during %s", c.Method)
		}
		return r
	case <-timer.C:
		t.Fatalf("no end of %s", c.Method)
	}
	return sdkResult{}
}

// send hands a call to the process. The channel is closed without a result when it ends.
func (d *driver) send(c sdkCall) (<-chan sdkResult, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil {
		return nil, errors.New("it has ended")
	}
	d.last++
	c.ID = d.last
	line, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	waits := make(chan sdkResult, 1)
	d.waiting[c.ID] = waits
	_, err = d.input.Write(append(line, '\n'))
	return waits, err
}

func (d *driver) class(status int) string {
	if name, ok := d.names[min(status, 500)]; ok {
		return name
	}
	return d.other
}

// received is how many requests Envoy has seen, answered or not.
func (w *world) received() int {
	w.t.Helper()
	const name = "http.plumbline.downstream_rq_total"
	reply, err := w.envoy.Admin(w.t.Context(), "GET", "/stats?filter=^"+name+"$")
	must(w.t, err)
	_, figure, _ := strings.Cut(strings.TrimSpace(string(reply)), ": ")
	n, err := strconv.Atoi(figure)
	if err != nil {
		w.t.Fatalf("Envoy's %s: %q", name, reply)
	}
	return n
}
