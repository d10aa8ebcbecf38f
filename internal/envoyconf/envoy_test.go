package envoyconf_test

import (
	"bufio"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/testkit"
)

// sidecar is an ext_proc server that does what a request's header test-mode says, and otherwise lets everything pass.
type sidecar struct {
	extprocv3.UnimplementedExternalProcessorServer
}

func (sidecar) Process(stream extprocv3.ExternalProcessor_ProcessServer) error {
	mode := ""
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if m.GetRequestHeaders() != nil {
			mode = testMode(m)
		}
		reply := passOn(m)
		switch mode {
		case "wrong length":
			if m.GetRequestBody() != nil {
				reply.GetRequestBody().Response = &extprocv3.CommonResponse{BodyMutation: &extprocv3.BodyMutation{
					Mutation: &extprocv3.BodyMutation_Body{Body: []byte("{}")},
				}}
			}
		case "error":
			return errors.New("broken on purpose")
		case "hang":
			<-stream.Context().Done()
			return stream.Context().Err()
		case "spurious":
			reply = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{}}
		case "forbidden change":
			reply = requestChange(&extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{header("x-envoy-retry-on", "5xx")}})
		case "strip":
			if m.GetRequestHeaders() == nil {
				break
			}
			reply = requestChange(&extprocv3.HeaderMutation{RemoveHeaders: []string{"authorization"}})
		case "refuse":
			reply = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ImmediateResponse{
				ImmediateResponse: &extprocv3.ImmediateResponse{
					Status:  &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable},
					Headers: &extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{header("content-type", "application/json")}},
					Body:    []byte(`{"of":"plumbline"}`), Details: "plumbline",
				},
			}}
		}
		if err := stream.Send(reply); err != nil {
			return err
		}
	}
}

func testMode(m *extprocv3.ProcessingRequest) string {
	for _, h := range m.GetRequestHeaders().GetHeaders().GetHeaders() {
		if h.GetKey() == "test-mode" {
			return string(h.GetRawValue())
		}
	}
	return ""
}

func header(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, RawValue: []byte(value)},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

func requestChange(m *extprocv3.HeaderMutation) *extprocv3.ProcessingResponse {
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{
		RequestHeaders: &extprocv3.HeadersResponse{Response: &extprocv3.CommonResponse{HeaderMutation: m}},
	}}
}

func passOn(m *extprocv3.ProcessingRequest) *extprocv3.ProcessingResponse {
	switch m.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{}}
	case *extprocv3.ProcessingRequest_RequestBody:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{}}}
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestTrailers{}}
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{}}
	case *extprocv3.ProcessingRequest_ResponseBody:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseBody{}}
	}
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseTrailers{}}
}

const chat = `{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}`

// reply is a whole answer.
type reply struct {
	Status int
	Header http.Header
}

// raw sends bytes that no HTTP client would send and reads one answer.
func raw(t *testing.T, envoy *testkit.Envoy, request string) (reply, string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(envoy.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go io.WriteString(conn, request) // the answer may come before all was sent
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header}, string(body)
}

// post sends a chat completion with more headers, each line ending in CRLF.
func post(t *testing.T, envoy *testkit.Envoy, headers, body string) (reply, string) {
	t.Helper()
	return raw(t, envoy, "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"+
		"Content-Length: "+strconv.Itoa(len(body))+"\r\n"+headers+"\r\n"+body)
}

// errorCode is the code in an error body of OpenAI's shape, which body must be.
func errorCode(t *testing.T, body string) string {
	t.Helper()
	var parsed struct {
		Error struct {
			Message, Type string
			Param         *string
			Code          string
		}
	}
	if err := json.Unmarshal([]byte(body), &parsed); err != nil || parsed.Error.Message == "" || parsed.Error.Type == "" {
		t.Errorf("%v: not OpenAI's error shape: %s", err, body)
	}
	return parsed.Error.Code
}

func TestRepliesOfEnvoyItselfHaveOpenAIsShape(t *testing.T) {
	p, url := testkit.Provider(t, provider.Options{Behaviours: true})
	o := envoyconf.Options{Upstream: url, Socket: testkit.Sidecar(t, sidecar{}), MessageTimeout: 300 * time.Millisecond, BodyLimit: 3 << 20}
	envoy := testkit.StartEnvoy(t, o)
	gone := o
	gone.Socket = testkit.Socket(t)
	withoutSidecar := testkit.StartEnvoy(t, gone)
	down := o
	down.Upstream = "http://" + closedAddress(t)
	withoutProvider := testkit.StartEnvoy(t, down)
	rude := o
	rude.Upstream = "http://" + rudeAddress(t)
	withRudeProvider := testkit.StartEnvoy(t, rude)
	get := func(path, headers string) func(*testing.T) (reply, string) {
		return func(t *testing.T) (reply, string) {
			return raw(t, envoy, "GET "+path+" HTTP/1.1\r\nHost: gateway\r\n"+headers+"\r\n")
		}
	}
	send := func(e *testkit.Envoy, mode, body string) func(*testing.T) (reply, string) {
		return func(t *testing.T) (reply, string) { return post(t, e, "test-mode: "+mode+"\r\n", body) }
	}
	for name, c := range map[string]struct {
		do     func(*testing.T) (reply, string)
		status int
		code   string
	}{
		"sidecar fails":            {send(envoy, "error", chat), 503, "governance_unavailable"},
		"sidecar hangs":            {send(envoy, "hang", chat), 503, "governance_unavailable"},
		"sidecar answers wrongly":  {send(envoy, "spurious", chat), 503, "governance_unavailable"},
		"sidecar oversteps":        {send(envoy, "forbidden change", chat), 503, "governance_unavailable"},
		"sidecar miscounts":        {send(envoy, "wrong length", chat), 503, "governance_unavailable"},
		"sidecar is not there":     {send(withoutSidecar, "", chat), 503, "governance_unavailable"},
		"provider is not there":    {send(withoutProvider, "", chat), 502, "upstream_error"},
		"provider hangs up":        {send(withRudeProvider, "", chat), 502, "upstream_error"},
		"body too large":           {send(envoy, "", strings.Repeat("x", 4<<20)), 413, "body_too_large"},
		"escaped slash":            {get("/v1%2fmodels", ""), 400, "invalid_request"},
		"upgrade":                  {get("/v1/realtime", "Connection: upgrade\r\nUpgrade: websocket\r\n"), 403, "invalid_request"},
		"a whole body is buffered": {send(envoy, "", strings.Replace(chat, `"x"`, `"`+strings.Repeat("x", 2<<20)+`"`, 1)), 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := p.Total()
			resp, body := c.do(t)
			if resp.Status != c.status || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
				t.Errorf("%d %v", resp.Status, resp.Header)
			}
			if c.status == http.StatusOK {
				return
			}
			if code := errorCode(t, body); code != c.code {
				t.Errorf("code %s, want %s", code, c.code)
			}
			if wait := resp.Header.Get("Retry-After-Ms"); (wait != "") != (c.code == "governance_unavailable") {
				t.Errorf("retry-after-ms %q", wait)
			}
			if p.Total() != before {
				t.Error("the provider was reached")
			}
		})
	}
	t.Run("a refusal by Plumbline stays as it is", func(t *testing.T) {
		resp, body := post(t, envoy, "test-mode: refuse\r\n", chat)
		if resp.Status != http.StatusServiceUnavailable || body != `{"of":"plumbline"}` {
			t.Errorf("%d %s", resp.Status, body)
		}
	})
}

// closedAddress is an address on which nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// rudeAddress is an address that takes a request and hangs up.
func rudeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			conn.Read(make([]byte, 1))
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

func TestCallersCannotSteerEnvoyOrPassForOthers(t *testing.T) {
	p, url := testkit.Provider(t, provider.Options{Behaviours: true, Keep: 1})
	envoy := testkit.StartEnvoy(t, envoyconf.Options{Upstream: url, Socket: testkit.Sidecar(t, sidecar{})})
	failing := strings.Replace(chat, "gpt-4o", "standin-error-503", 1)
	for _, line := range []string{
		"x-envoy-retry-on: 5xx,retriable-4xx,reset,gateway-error\r\nx-envoy-max-retries: 3\r\n",
		"X-Envoy-Retry-On: 5xx\r\n",
		"x-envoy-retriable-status-codes: 503\r\nx-envoy-retry-on: retriable-status-codes\r\n",
		"x-envoy-retry-grpc-on: unavailable\r\n",
		"x-envoy-hedge-on-per-try-timeout: true\r\nx-envoy-upstream-rq-per-try-timeout-ms: 1\r\n",
		"x-envoy-upstream-rq-timeout-ms: 1\r\n",
		"x-envoy-upstream-rq-timeout-alt-response: 1\r\n",
		"x-envoy-upstream-alt-stat-name: x\r\n",
		"x-envoy-internal: true\r\nx-envoy-retry-on: 5xx\r\n",
		"x-envoy-original-path: /v1/files\r\n",
		"x-envoy-decorator-operation: x\r\n",
		"x-envoy-ip-tags: x\r\n",
		"x-forwarded-for: 127.0.0.1\r\nx-envoy-retry-on: 5xx\r\n",
	} {
		before := p.Total()
		if resp, _ := post(t, envoy, line, failing); resp.Status != http.StatusServiceUnavailable {
			t.Errorf("%q: %d", line, resp.Status)
		}
		if n := p.Total() - before; n != 1 {
			t.Errorf("%q: the provider was asked %d times", line, n)
		}
	}
	resp, _ := post(t, envoy, "x-forwarded-client-cert: By=x\r\nX-Plumbline-User: me\r\nx-user: me\r\nX-User-Id: me\r\n"+
		"OpenAI-Organization: org\r\nopenai-project: p\r\nx-envoy-internal: true\r\nx-forwarded-for: 10.0.0.1\r\nx-kept: yes\r\n", chat)
	if resp.Status != http.StatusOK {
		t.Fatal(resp.Status)
	}
	got := p.Requests()[0].Header
	want := http.Header{"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(chat))}, "X-Kept": {"yes"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the provider received other headers than wanted:\n%s", diff)
	}
}

func TestPathsReachTheProviderInOneSpelling(t *testing.T) {
	p, url := testkit.Provider(t, provider.Options{Keep: 1})
	envoy := testkit.StartEnvoy(t, envoyconf.Options{Upstream: url, Socket: testkit.Sidecar(t, sidecar{})})
	for _, path := range []string{"/v1/models", "//v1//models", "/v1/./models", "/v1/x/../models", "/v1/%6dodels", "/v1/x/%2e%2e/models"} {
		resp, _ := raw(t, envoy, "GET "+path+" HTTP/1.1\r\nHost: gateway\r\n\r\n")
		if got := p.Requests()[0].Path; resp.Status != http.StatusOK || got != "/v1/models" {
			t.Errorf("%s: %d, the provider saw %s", path, resp.Status, got)
		}
	}
}

func TestEnvoyInjectsTheProvidersKey(t *testing.T) {
	const key = "sk-provider-0123456789abcdef"
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	p, url := testkit.Provider(t, provider.Options{Key: key, Keep: 1})
	envoy := testkit.StartEnvoy(t, envoyconf.Options{Upstream: url, Socket: testkit.Sidecar(t, sidecar{}), ProviderKeyFile: file})
	for _, mode := range []string{"strip", "pass"} { // also in place of a credential that was left by mistake
		resp, body := post(t, envoy, "test-mode: "+mode+"\r\nAuthorization: Bearer pl_caller\r\n", chat)
		if resp.Status != http.StatusOK {
			t.Errorf("%s: %d %s", mode, resp.Status, body)
		}
		if diff := cmp.Diff([]string{"Bearer " + key}, p.Requests()[0].Header["Authorization"]); diff != "" {
			t.Errorf("%s: %s", mode, diff)
		}
		if strings.Contains(body+strings.Join(resp.Header["Authorization"], ""), key) {
			t.Error("the caller sees the key")
		}
	}
	resp, body := post(t, envoy, "test-mode: refuse\r\nAuthorization: Bearer pl_caller\r\n", chat)
	if resp.Status != http.StatusServiceUnavailable || strings.Contains(body, key) || p.Total() != 2 {
		t.Errorf("%d %s, %d requests", resp.Status, body, p.Total())
	}
	if err := envoy.Stop(); err != nil { // writes the rest of the access log
		t.Fatal(err)
	}
	log, err := os.ReadFile(envoy.AccessLog)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{key, "pl_caller"} {
		if strings.Contains(string(log)+string(envoy.Log()), secret) {
			t.Errorf("a log holds %s", secret)
		}
	}
	var line struct {
		Status   int
		Details  string
		Attempts int `json:"upstream_attempts"`
	}
	if err := json.Unmarshal(log[:strings.IndexByte(string(log), '\n')], &line); err != nil || line.Status != 200 || line.Details != "via_upstream" || line.Attempts != 1 {
		t.Errorf("%v %+v in %s", err, line, log)
	}
}

func TestTheProvidersCertificateIsVerified(t *testing.T) {
	p := provider.New(provider.Options{})
	server := httptest.NewTLSServer(p)
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := testkit.Sidecar(t, sidecar{})
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		upstream, ca string
		status       int
	}{
		"good":            {server.URL, ca, http.StatusOK},
		"another name":    {"https://localhost:" + port, ca, http.StatusBadGateway}, // not in the certificate
		"other authority": {server.URL, "", http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			envoy := testkit.StartEnvoy(t, envoyconf.Options{Upstream: c.upstream, Socket: socket, TrustedCA: c.ca})
			before := p.Total()
			resp, body := post(t, envoy, "", chat)
			if resp.Status != c.status || (p.Total() > before) != (c.status == http.StatusOK) {
				t.Errorf("%d %s", resp.Status, body)
			}
		})
	}
}
