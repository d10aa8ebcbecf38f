package openai

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
)

const formType = "multipart/form-data; boundary=XX"

// formOf writes a form with the boundary XX: each field is its headers, an empty line, and its value.
func formOf(fields ...string) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString("--XX\r\n" + f + "\r\n")
	}
	return b.String() + "--XX--\r\n"
}

// textField is a field that is not a file.
func textField(name, value string) string {
	return `Content-Disposition: form-data; name="` + name + `"` + "\r\n\r\n" + value
}

// seenField is a field as a reader sees it.
type seenField struct {
	Name, Filename, Media string
	File                  bool
	Value                 string
}

func readAll(contentType string, body []byte) ([]seenField, *core.Error) {
	f, e := newForm(contentType, body)
	if e != nil {
		return nil, e
	}
	var all []seenField
	for {
		p, more, e := f.next()
		if e != nil || !more {
			return all, e
		}
		all = append(all, seenField{p.name, string(p.filename), p.media, p.file, string(p.value)})
	}
}

// readByLibrary is how the standard library reads the same form.
func readByLibrary(contentType string, body []byte) ([]seenField, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, err
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	var all []seenField
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		value, err := io.ReadAll(p)
		if err != nil {
			return nil, err
		}
		disposition, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
		if err != nil || disposition != "form-data" {
			return nil, fmt.Errorf("%s: %w", disposition, err)
		}
		name, isFile := params["filename"]
		media, _, _ := strings.Cut(p.Header.Get("Content-Type"), ";")
		all = append(all, seenField{params["name"], name, media, isFile, string(value)})
	}
}

func TestFormIsReadAsTheLibraryReadsIt(t *testing.T) {
	binary := make([]byte, 1<<16)
	for i := range binary {
		binary[i] = byte(i * 7)
	}
	for _, boundary := range []string{
		"x", "----WebKitFormBoundary7MA4YWxkTrZu0gW", strings.Repeat("b", 70), "'()+_,-./:=?", "a b", strings.Repeat("-", 40), "=_=",
	} {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		if err := w.SetBoundary(boundary); err != nil {
			t.Fatal(err)
		}
		content := bytes.ReplaceAll(binary, []byte("--"+boundary), nil)
		_ = w.WriteField("model", "whisper-1")
		_ = w.WriteField("prompt", "")
		_ = w.WriteField("lines", "\r\n\r\nä\n\r")
		part, _ := w.CreateFormFile("file", "Mitschnitt für 100 % (1).wav")
		_, _ = part.Write(content)
		_ = w.Close()
		got, e := readAll(w.FormDataContentType(), b.Bytes())
		if e != nil {
			t.Errorf("boundary %q: %s", boundary, e.Public)
			continue
		}
		want, err := readByLibrary(w.FormDataContentType(), b.Bytes())
		if err != nil || len(want) != 4 {
			t.Fatal(err, want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("boundary %q: %s", boundary, diff)
		}
	}
}

// The ways in which clients write forms.
func TestFormTakes(t *testing.T) {
	const file = `Content-Disposition: form-data; name="file"; filename="a.wav"`
	for name, field := range map[string]string{
		"header names in lower case":    "content-disposition: form-data; name=\"a\"\r\n\r\nv",
		"tokens instead of strings":     "Content-Disposition: form-data; name=a\r\n\r\nv",
		"a type of text":                "Content-Disposition: form-data; name=a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nv",
		"a length":                      "Content-Disposition: form-data; name=a\r\nContent-Length: 1\r\n\r\nv",
		"a file of a browser":           file + "\r\nContent-Type: audio/webm;codecs=opus\r\n\r\nv",
		"a type before the disposition": "Content-Type: audio/wav\r\n" + file + "\r\n\r\nv",
		"the same file name twice":      "Content-Disposition: form-data; name=file; filename=a.wav; filename*=utf-8''a.wav\r\n\r\nv",
	} {
		body := formOf(field)
		got, e := readAll(formType, []byte(body))
		if e != nil {
			t.Errorf("%s: %s", name, e.Public)
			continue
		}
		want, err := readByLibrary(formType, []byte(body))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v (%v)", name, got, want, err)
		}
	}
	for _, contentType := range []string{
		formType, `multipart/form-data; boundary="XX"`, `Multipart/Form-Data; Boundary=XX`, `multipart/form-data; charset=UTF-8; boundary=XX`,
	} {
		if _, e := readAll(contentType, []byte(strings.TrimSuffix(formOf(textField("a", "v")), "\r\n"))); e != nil {
			t.Errorf("%s: %s", contentType, e.Public)
		}
	}
}

func TestFormRefuses(t *testing.T) {
	const file, text = `Content-Disposition: form-data; name="file"; filename=`, `Content-Disposition: form-data; name="a"`
	good := formOf(textField("a", "v"))
	for name, body := range map[string]string{
		"nothing":                            "",
		"a preamble":                         "hello\r\n" + good,
		"a line before":                      "\r\n" + good,
		"an epilogue":                        good + "x",
		"an epilogue without a line":         strings.TrimSuffix(good, "\r\n") + "x",
		"a second form":                      good + good,
		"two line ends":                      good + "\r\n",
		"no last boundary":                   strings.TrimSuffix(good, "--XX--\r\n"),
		"a last boundary cut short":          strings.TrimSuffix(good, "-\r\n"),
		"another last boundary":              strings.Replace(good, "XX--", "XY--", 1),
		"bare LF":                            strings.ReplaceAll(good, "\r\n", "\n"),
		"bare LF in the head":                "--XX\r\n" + text + "\n\n" + "v\r\n--XX--\r\n",
		"bare LF before the boundary":        strings.Replace(good, "v\r\n", "v\n", 1),
		"bare LF after the boundary":         strings.Replace(good, "--XX\r\n", "--XX\n", 1),
		"bare CR":                            strings.ReplaceAll(good, "\r\n", "\r"),
		"padding after the boundary":         strings.Replace(good, "--XX\r\n", "--XX \r\n", 1),
		"the boundary within a value":        formOf(textField("a", "x --XX y")),
		"the boundary at the start of value": formOf(textField("a", "--XX y")),
		"a longer boundary in a value":       formOf(textField("a", "v\r\n--XXX\r\nw")),
		"the boundary after LF":              formOf(textField("a", "v\n--XX\r\nw")),
		"the boundary in a head":             formOf(file + "\"--XX\"\r\n\r\nv"),
		"the boundary right after a head":    "--XX\r\n" + text + "\r\n\r\n--XX--\r\n",
		"no head":                            formOf("\r\nv"),
		"no disposition":                     formOf("Content-Type: text/plain\r\n\r\nv"),
		"no name":                            formOf("Content-Disposition: form-data\r\n\r\nv"),
		"an empty name":                      formOf("Content-Disposition: form-data; name=\"\"\r\n\r\nv"),
		"an attachment":                      formOf("Content-Disposition: attachment; name=\"a\"\r\n\r\nv"),
		"the disposition twice":              formOf(text + "\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\nv"),
		"the name twice":                     formOf(text + "; name=\"b\"\r\n\r\nv"),
		"the type twice":                     formOf(text + "\r\nContent-Type: text/plain\r\nContent-Type: text/plain\r\n\r\nv"),
		"a folded header":                    formOf("Content-Disposition: form-data;\r\n name=\"a\"\r\n\r\nv"),
		"a space before the colon":           formOf("Content-Disposition : form-data; name=\"a\"\r\n\r\nv"),
		"a header without a colon":           formOf(text + "\r\nrubbish\r\n\r\nv"),
		"another header":                     formOf(text + "\r\nX-More: 1\r\n\r\nv"),
		"a transfer encoding":                formOf(text + "\r\nContent-Transfer-Encoding: base64\r\n\r\ndg=="),
		"a wrong length":                     formOf(text + "\r\nContent-Length: 2\r\n\r\nv"),
		"a length with a zero":               formOf(text + "\r\nContent-Length: 01\r\n\r\nv"),
		"an escape in a name":                formOf("Content-Disposition: form-data; name=\"a\\\"b\"\r\n\r\nv"),
		"a backslash in a name":              formOf("Content-Disposition: form-data; name=\"a\\b\"\r\n\r\nv"),
		"an encoded name":                    formOf("Content-Disposition: form-data; name*=utf-8''a\r\n\r\nv"),
		"a string that does not end":         formOf("Content-Disposition: form-data; name=\"a\r\n\r\nv"),
		"data after a string":                formOf("Content-Disposition: form-data; name=\"a\"b\r\n\r\nv"),
		"a parameter more":                   formOf(text + "; size=1\r\n\r\nv"),
		"a trailing semicolon":               formOf(text + ";\r\n\r\nv"),
		"an empty file name":                 formOf(file + "\"\"\r\n\r\nv"),
		"an escape in a file name":           formOf(file + "\"a\\\"b.wav\"\r\n\r\nv"),
		"an encoded file name":               formOf(file + "\"a%22.wav\"\r\n\r\nv"),
		"a path":                             formOf(file + "\"../a.wav\"\r\n\r\nv"),
		"a path of another system":           formOf(file + "\"c:\\a.wav\"\r\n\r\nv"),
		"a parameter in a file name":         formOf(file + "\"a; name=model\"\r\n\r\nv"),
		"a line in a file name":              formOf(file + "\"a\u2028b\"\r\n\r\nv"),
		"a NUL in a file name":               formOf(file + "\"a\x00b\"\r\n\r\nv"),
		"a file name that is not UTF-8":      formOf(file + "\"\xff\"\r\n\r\nv"),
		"another file name":                  formOf(file + "\"a.wav\"; filename*=utf-8''b.wav\r\n\r\nv"),
		"an encoded second file name":        formOf(file + "\"a%.wav\"; filename*=utf-8''a%.wav\r\n\r\nv"),
		"only an encoded file name":          formOf("Content-Disposition: form-data; name=\"a\"; filename*=utf-8''a\r\n\r\nv"),
		"a form in the form":                 formOf(text + "\r\nContent-Type: multipart/mixed; boundary=YY\r\n\r\n--YY--"),
		"a message":                          formOf(text + "\r\nContent-Type: message/rfc822\r\n\r\nv"),
		"another charset":                    formOf(text + "\r\nContent-Type: text/plain; charset=utf-7\r\n\r\nv"),
		"two parameters":                     formOf(text + "\r\nContent-Type: text/plain; charset=utf-8; charset=utf-7\r\n\r\nv"),
		"a head that is too long":            formOf(file + `"` + strings.Repeat("a", maxFieldHead) + "\"\r\n\r\nv"),
		"too many fields":                    formOf(slices.Repeat([]string{textField("a", "v")}, maxFormFields+1)...),
	} {
		if got, e := readAll(formType, []byte(body)); e == nil {
			t.Errorf("%s: read as %+v", name, got)
		} else if e.Reason != core.ReasonInvalidBody || !strings.Contains(e.Public, "at byte ") {
			t.Errorf("%s: %s %s", name, e.Reason, e.Public)
		}
	}
	for _, contentType := range []string{
		"", "multipart/form-data", "multipart/form-data; boundary=", `multipart/form-data; boundary=""`, "multipart/mixed; boundary=XX",
		"multipart/form-data; boundary=XX; boundary=XX", "multipart/form-data; boundary=XX; boundary=YY", "multipart/form-data; boundary*=utf-8''XX",
		"multipart/form-data; boundary*0=X; boundary*1=X", `multipart/form-data; boundary="X\X"`, `multipart/form-data; boundary="XX "`,
		`multipart/form-data; boundary=" XX"`, "multipart/form-data; boundary=XX; x=1", "multipart/form-data; boundary=XX, multipart/form-data",
		"multipart/form-data; charset=utf-7; boundary=XX", `multipart/form-data; boundary="X;X"`, "application/json",
		"multipart/form-data; boundary=" + strings.Repeat("X", 71), "multipart/form-data; boundary=\"X\u00e4\"",
	} {
		if got, e := readAll(contentType, []byte(good)); e == nil {
			t.Errorf("content-type %q: read as %+v", contentType, got)
		} else if e.Reason != core.ReasonUnsupportedMediaType {
			t.Errorf("content-type %q: %s", contentType, e.Reason)
		}
	}
}

// The offset in an error is where the trouble is.
func TestFormNamesTheOffset(t *testing.T) {
	body := formOf(textField("a", "v"), textField("b", "x--XXy"))
	_, e := readAll(formType, []byte(body))
	if want := fmt.Sprintf("at byte %d", strings.Index(body, "--XXy")); e == nil || !strings.Contains(e.Public, want) {
		t.Errorf("%v, want %s", e, want)
	}
}

// A form is read in place: what it costs does not grow with the file.
func TestFormCopiesNoFile(t *testing.T) {
	measure := func(size int) float64 {
		body := []byte(formOf(textField("a", "v"), `Content-Disposition: form-data; name="f"; filename="f"`+"\r\n\r\n"+strings.Repeat("-X", size/2)))
		return testing.AllocsPerRun(1, func() {
			f, _ := newForm(formType, body)
			for more := true; more; _, more, _ = f.next() {
			}
		})
	}
	if small, large := measure(1<<10), measure(1<<25); large > small {
		t.Errorf("%v allocations for 1 kB, %v for 32 MB", small, large)
	}
}

// What is taken here, the standard library reads in the same way. The readers of each form take no part in that: they must
// only come back.
func FuzzForm(f *testing.F) {
	f.Add(formType, []byte(formOf(textField("a", "v"), textField("b", ""))))
	f.Add(formType, []byte(formOf("Content-Type: audio/webm;codecs=opus\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.wav\"\r\n\r\n\x00--X\r\n")))
	f.Add(formType, []byte(formOf("Content-Disposition: form-data; name=f; filename=a; filename*=utf-8''a\r\nContent-Length: 1\r\n\r\nv")))
	f.Add(formType, []byte("--XX\nContent-Disposition: form-data; name=a\n\nv\n--XX--"))
	f.Add(`multipart/form-data; boundary="--"`, []byte("----\r\nContent-Disposition: form-data; name=a\r\n\r\n-\r\n------"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		got, e := readAll(contentType, body)
		if e != nil {
			return
		}
		_, _ = readFormOf("audio.transcriptions", contentType, string(body))
		_, _ = readFormOf("images.edits", contentType, string(body))
		_, _ = ReadUpload(contentType, body)
		want, err := readByLibrary(contentType, body)
		if err != nil {
			t.Fatalf("the library does not take it: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}
