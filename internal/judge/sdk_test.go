package judge

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
)

// sdkScript has OpenAI's own SDK make the request of stdin, and print what it makes of the answer. An argument that it does not
// know ends it.
const sdkScript = `
import json, sys
from openai import OpenAI
answer = OpenAI(base_url=sys.argv[1] + "/v1", api_key=sys.argv[2], max_retries=0).chat.completions.create(**json.load(sys.stdin))
print(json.dumps([answer.choices[0].finish_reason, answer.choices[0].message.content]))
`

// TestRequestOfTheSDK: the official SDK knows every member of a request, sends the very same, and reads the answer alike.
func TestRequestOfTheSDK(t *testing.T) {
	packages, err := filepath.Abs("../../.tools/py")
	if err == nil {
		_, err = os.Stat(filepath.Join(packages, "openai"))
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("make sdks installs the SDK: %v", err)
		}
		t.Skip("make sdks installs the SDK")
	}
	content := recorded(t, "chat-json-mode", offTask)
	s := serve(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(content)
	})
	answer, err := judgeAt(t, s.URL, nil).Ask(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-c", sdkScript, s.URL, testKey)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+packages)
	cmd.Stdin = bytes.NewReader(s.requests[0])
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, said.Bytes())
	}
	var ours, theirs any
	if err := json.Unmarshal(s.requests[0], &ours); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(s.requests[1], &theirs); err != nil || !reflect.DeepEqual(ours, theirs) {
		t.Errorf("%v: the SDK sends %s", err, s.requests[1])
	}
	if a, b := s.headers[0].Get("Authorization"), s.headers[1].Get("Authorization"); a != b {
		t.Errorf("the SDK authenticates by %q, not %q", b, a)
	}
	var read [2]string
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&read); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if read != [2]string{"stop", offTask} || answer.Verdict != OffTask {
		t.Errorf("the SDK reads %q, we %+v", read, answer)
	}
}
