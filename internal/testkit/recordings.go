package testkit

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// Recording is one recorded exchange with the provider.
type Recording struct {
	// Name is the file's without extension, and "#2" and so on for further exchanges in one file.
	Name     string
	Request  RecordedRequest
	Response RecordedResponse
}

// RecordedRequest is what a client sent.
type RecordedRequest struct {
	Method string
	Path   string // with the query
	Header http.Header
	// Body is what was sent, but for uploads, which the recordings leave out. A body that was pretty-printed by the
	// recorder has another length than its Content-Length says.
	Body []byte
}

// RecordedResponse is what the provider answered. A body that was compressed is stored here as the provider sent it,
// with its Content-Encoding.
type RecordedResponse struct {
	Status int
	Header http.Header
	Body   []byte
}

// Plain is the response's body without its compression.
func (r RecordedResponse) Plain(t testing.TB) []byte {
	t.Helper()
	if r.Header.Get("Content-Encoding") != "gzip" {
		return r.Body
	}
	zr, err := gzip.NewReader(bytes.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// Recordings reads every recorded exchange below dir, in the order of the files' names. Both recorders' formats are
// understood: go-vcr's and vcrpy's.
func Recordings(t testing.TB, dir string) []Recording {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("there are no recordings in %s", dir)
	}
	var all []Recording
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		recordings, err := readCassette(strings.TrimSuffix(filepath.Base(file), ".yaml"), data)
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(file), err)
		}
		all = append(all, recordings...)
	}
	return all
}

// cassette holds the fields of both formats.
type cassette struct {
	Interactions []struct {
		Request struct {
			Method  string      `yaml:"method"`
			URL     string      `yaml:"url"` // go-vcr
			URI     string      `yaml:"uri"` // vcrpy
			Headers http.Header `yaml:"headers"`
			Body    body        `yaml:"body"`
		} `yaml:"request"`
		Response struct {
			Code    int         `yaml:"code"`   // go-vcr
			Status  vcrpyStatus `yaml:"status"` // vcrpy; go-vcr has the status line here
			Headers http.Header `yaml:"headers"`
			Body    body        `yaml:"body"`
		} `yaml:"response"`
	} `yaml:"interactions"`
}

// body is a string, bytes, or vcrpy's {string: …}.
type body []byte

func (b *body) UnmarshalYAML(unmarshal func(any) error) error {
	var v any
	if err := unmarshal(&v); err != nil {
		return err
	}
	if m, ok := v.(map[string]any); ok {
		v = m["string"]
	}
	switch v := v.(type) {
	case nil:
	case string:
		*b = []byte(v)
	case []byte:
		*b = v
	default:
		return fmt.Errorf("a body is a %T", v)
	}
	return nil
}

type vcrpyStatus int

func (s *vcrpyStatus) UnmarshalYAML(unmarshal func(any) error) error {
	var v any
	if err := unmarshal(&v); err != nil {
		return err
	}
	if m, ok := v.(map[string]any); ok {
		code, ok := m["code"].(uint64)
		if !ok {
			return fmt.Errorf("a status is a %T", m["code"])
		}
		*s = vcrpyStatus(code)
	}
	return nil
}

func readCassette(name string, data []byte) ([]Recording, error) {
	var c cassette
	if err := yaml.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	recordings := make([]Recording, 0, len(c.Interactions))
	for i, x := range c.Interactions {
		u, err := url.Parse(x.Request.URL + x.Request.URI) // one of them is empty
		if err != nil {
			return nil, err
		}
		r := Recording{
			Name:    name,
			Request: RecordedRequest{Method: x.Request.Method, Path: u.RequestURI(), Header: canonical(x.Request.Headers), Body: x.Request.Body},
			Response: RecordedResponse{
				Status: max(x.Response.Code, int(x.Response.Status)), Header: canonical(x.Response.Headers), Body: x.Response.Body,
			},
		}
		if i > 0 {
			r.Name = fmt.Sprintf("%s#%d", name, i+1)
		}
		// go-vcr stores bodies decompressed and leaves the header of the ones it was sent.
		if r.Response.Header.Get("Content-Encoding") == "gzip" && !bytes.HasPrefix(r.Response.Body, []byte{0x1f, 0x8b}) {
			r.Response.Header.Del("Content-Encoding")
		}
		recordings = append(recordings, r)
	}
	return recordings, nil
}

func canonical(h http.Header) http.Header {
	c := make(http.Header, len(h))
	for name, values := range h {
		name = http.CanonicalHeaderKey(name)
		c[name] = append(c[name], values...)
	}
	return c
}
