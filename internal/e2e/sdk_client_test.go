package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
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

// driver is a client of another language in a process of its own.
type driver struct {
	names map[int]string // of errors, by status
	other string         // of all others below 500
	input io.Writer

	mu      sync.Mutex
	waiting map[int]chan sdkResult // nil when the process has ended
	last    int
}

// newSDK starts a client. The environment of those in processes of their own points to the world, under ann's key.
func newSDK(t testing.TB, language string, w *world) sdk {
	t.Helper()
	root := testkit.Root(t)
	source := filepath.Join(root, "internal", "e2e", "testdata", "sdk")
	names := map[int]string{
		0: "APIConnectionError", 400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError", 404: "NotFoundError",
		409: "ConflictError", 422: "UnprocessableEntityError", 429: "RateLimitError", 500: "InternalServerError",
	}
	switch language {
	case "node":
		packages := installed(t, filepath.Join(root, ".tools", "node"))
		return startDriver(t, &driver{names: names, other: "APIError"}, w, nil, "node", filepath.Join(source, "driver.mjs"), packages)
	case "python":
		packages := installed(t, filepath.Join(root, ".tools", "py"))
		return startDriver(t, &driver{names: names, other: "APIStatusError"}, w, []string{"PYTHONPATH=" + packages}, "python3", filepath.Join(source, "driver.py"))
	}
	return goSDK{}
}

// installed gives a directory that tools/fetch-sdks has filled.
func installed(t testing.TB, dir string) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, ".installed")); err != nil {
		testkit.Missing(t, "the SDK in "+dir+" (tools/fetch-sdks, which make test runs)")
	}
	return dir
}

func startDriver(t testing.TB, d *driver, w *world, env []string, command ...string) *driver {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // the end of its input ends it
	// No proxy of this machine may stand between.
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"), "PYTHONDONTWRITEBYTECODE=1",
		"OPENAI_BASE_URL="+w.envoy.URL+"/v1", "OPENAI_API_KEY="+w.key)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	input, err := cmd.StdinPipe()
	must(t, err)
	output, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	d.input, d.waiting = input, map[int]chan sdkResult{}
	read := make(chan struct{})
	go func() {
		defer close(read)
		d.read(t, output)
	}()
	t.Cleanup(func() {
		input.Close()
		<-read
		if err := cmd.Wait(); err != nil || errors.Len() > 0 {
			t.Errorf("%s ended: %v\n%s", command[0], err, &errors)
		}
	})
	return d
}

// read hands each result to who waits for it, and at the end none to those who still wait.
func (d *driver) read(t testing.TB, output io.Reader) {
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadBytes('\n')
		var r sdkResult
		if err == nil {
			err = json.Unmarshal(line, &r)
		}
		d.mu.Lock()
		if err != nil {
			if err != io.EOF {
				t.Errorf("the driver said %q: %v", line, err)
			}
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
	waits := make(chan sdkResult, 1)
	d.mu.Lock()
	d.last++
	c.ID = d.last
	ended := d.waiting == nil
	if !ended {
		d.waiting[c.ID] = waits
	}
	line, err := json.Marshal(c)
	if err == nil && !ended {
		_, err = d.input.Write(append(line, '\n'))
	}
	d.mu.Unlock()
	if err != nil || ended {
		t.Fatalf("the driver has ended: %v", err)
	}
	select {
	case r, ok := <-waits:
		if !ok {
			t.Fatalf("the driver ended during %s", c.Method)
		}
		return r
	case <-t.Context().Done():
	case <-time.After(2 * time.Minute): // longer than any client waits before it tries again
		t.Fatalf("no end of %s", c.Method)
	}
	return sdkResult{}
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
