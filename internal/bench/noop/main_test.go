package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/testkit"
	"github.com/plumbline/plumbline/internal/testkit/fakeenvoy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryMessageIsAnsweredByItsOwnType(t *testing.T) {
	envoy := fakeenvoy.New(t, processor{}, fakeenvoy.Options{})
	answer := fakeenvoy.EventStream("one ", "two")
	answer.Trailers = []fakeenvoy.Header{{"t", "1"}}
	got, err := envoy.Do(t.Context(), fakeenvoy.Exchange{
		Body: []byte("{}"), Trailers: []fakeenvoy.Header{{"t", "0"}},
		Upstream: func(fakeenvoy.Forwarded) fakeenvoy.Answer { return answer },
	})
	if err != nil || got.Forwarded == nil || string(got.Body) != "one two" || len(got.Trailers) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestBehindARealEnvoy(t *testing.T) {
	p, url := testkit.Provider(t, provider.Options{})
	socket := testkit.Socket(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, socket) }()
	envoy := testkit.StartEnvoy(t, envoyconf.Options{Upstream: url, Socket: socket})
	awaitListener(t, socket, ended)
	body := `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"x"}]}`
	resp, err := http.Post(envoy.URL+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasSuffix(string(stream), "data: [DONE]\n\n") || p.Total() != 1 {
		t.Errorf("%s, %v: %s", resp.Status, err, stream)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// awaitListener returns once the server accepts connections. It listens before it does anything else.
func awaitListener(t *testing.T, socket string, ended <-chan error) {
	t.Helper()
	for {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
	}
}

func TestASocketIsNeeded(t *testing.T) {
	if err := run(t.Context(), ""); err == nil {
		t.Error("it ran without a socket")
	}
}
