package gate_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/store/sqlite"
)

// objectWorld is a gate on a store in a file, a provider account behind it, and what callers have been told.
type objectWorld struct {
	t      *testing.T
	path   string
	store  *sqlite.Store
	gate   *gatetest.World
	kept   map[core.ObjectRef]string // at the provider: what is there, and who made it
	usable map[core.ObjectRef]bool   // of those: its maker can use it
	told   []core.ObjectRef          // every id that any answer ever named, for anybody to try
	next   int
	failed bool // the store fails at present
}

func (w *objectWorld) restart() {
	w.stop()
	st, err := sqlite.Open(context.Background(), w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = st
	w.gate = gatetest.New(w.t, gatetest.Options{
		Policy: "version: 1\nrequests: {file_purposes: [user_data], file_ids: true, hosted_tools: [file_search]}\n",
		Change: func(o *gate.Options) { o.Owners = failing{st.Ownership(), w} },
	})
	w.gate.Classify = func(*intent.View) core.Intent { return core.Intent{} }
}

func (w *objectWorld) stop() {
	if w.store != nil {
		if err := w.store.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// failing is an ownership whose writes fail while the world says so.
type failing struct {
	gate.Owners
	w *objectWorld
}

func (f failing) Own(ctx context.Context, o core.OwnedObject) error {
	if f.w.failed {
		return gatetest.ErrDown
	}
	return f.Owners.Own(ctx, o)
}

func (f failing) Disown(ctx context.Context, ref core.ObjectRef) error {
	if f.w.failed {
		return gatetest.ErrDown
	}
	return f.Owners.Disown(ctx, ref)
}

var (
	kindsOfObjects = []core.ObjectKind{core.ObjectResponse, core.ObjectConversation, core.ObjectFile, core.ObjectVectorStore}
	everybody      = []string{gatetest.Credential, gatetest.OtherCredential, gatetest.AppCredential}
	directories    = map[core.ObjectKind]string{
		core.ObjectResponse: "/v1/responses", core.ObjectConversation: "/v1/conversations", core.ObjectFile: "/v1/files",
		core.ObjectVectorStore: "/v1/vector_stores",
	}
)

const form = "--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n" +
	"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n--XX--\r\n"

// make has somebody make an object, whose answer is seen to its end or not.
func (w *objectWorld) make(rt *rapid.T) {
	kind, as := rapid.SampledFrom(kindsOfObjects).Draw(rt, "kind"), rapid.SampledFrom(everybody).Draw(rt, "as")
	c := call{as: as, method: "POST", path: directories[kind], body: `{}`}
	stored := true
	switch kind {
	case core.ObjectResponse:
		if c.body = respond(""); rapid.Bool().Draw(rt, "not kept") {
			c.body, stored = respond(`,"store":false`), false
		}
	case core.ObjectFile:
		c.body, c.contentType = form, "multipart/form-data; boundary=XX"
	case core.ObjectConversation, core.ObjectVectorStore, core.ObjectFileBatch:
	}
	x, _, reply := c.sent(w.t.Context(), w.gate)
	if reply != nil {
		rt.Fatalf("making a %s is refused: %s", kind, reply.Body)
	}
	w.next++
	ref := core.ObjectRef{Kind: kind, ID: fmt.Sprintf("id-%d", w.next)}
	w.told = append(w.told, ref)
	if stored {
		w.kept[ref] = as
	}
	body := responded(ref.ID, 20, 7)
	answers(w.t, x, jsonType)
	switch rapid.SampledFrom([]string{"whole", "whole", "left", "died"}).Draw(rt, "ending") {
	case "whole":
		observed(w.t, x, []byte(body), true)
		w.usable[ref] = stored && !w.failed
	case "left": // after its id was seen
		observed(w.t, x, []byte(body[:40]), false)
		x.Close(w.t.Context(), core.FinishInterrupted)
		_, known, err := w.store.Ownership().Owned(w.t.Context(), ref)
		if err != nil {
			rt.Fatal(err)
		}
		w.usable[ref] = known && stored // either way is right, but whose it is
	case "died": // nothing runs at its end
		observed(w.t, x, []byte(body), false)
		w.restart()
	}
}

// try has anybody use any id: it passes for its maker alone.
func (w *objectWorld) try(rt *rapid.T) {
	if len(w.told) == 0 {
		rt.Skip("nothing was made")
	}
	ref, as := rapid.SampledFrom(w.told).Draw(rt, "ref"), rapid.SampledFrom(everybody).Draw(rt, "as")
	if rapid.IntRange(0, 9).Draw(rt, "other kind") == 0 {
		ref.Kind = rapid.SampledFrom(kindsOfObjects).Draw(rt, "kind")
	}
	c := call{as: as, method: "GET", path: directories[ref.Kind] + "/" + ref.ID}
	how := rapid.SampledFrom([]string{"get", "go on", "name", "delete"}).Draw(rt, "how")
	switch {
	case how == "delete":
		c.method = "DELETE"
	case how == "name":
		c = namingCall(as, ref)
	case how == "go on" && ref.Kind == core.ObjectResponse:
		c = call{as: as, method: "POST", path: "/v1/responses", body: respond(fmt.Sprintf(`,"store":false,"previous_response_id":%q`, ref.ID))}
	case how == "go on" && ref.Kind == core.ObjectConversation:
		c = call{as: as, method: "POST", path: "/v1/responses", body: respond(fmt.Sprintf(`,"store":false,"conversation":%q`, ref.ID))}
	}
	x, _, reply := c.sent(w.t.Context(), w.gate)
	maker := w.kept[ref]
	switch mine := w.usable[ref] && maker == as; {
	case reply != nil && mine:
		rt.Fatalf("%s of %v is refused to its maker: %s", c.method, ref, reply.Body)
	case reply == nil && !mine:
		rt.Fatalf("%s of %v, which %q made, passes for %q", c.method, ref, maker, as)
	case reply != nil:
		x.Close(w.t.Context(), core.FinishInterrupted)
		return
	}
	status := rapid.SampledFrom([]int{200, 200, 404, 500}).Draw(rt, "status")
	answersWith(w.t, x, status)
	observed(w.t, x, []byte(`{}`), true)
	if c.method == "DELETE" && status != 500 && !w.failed { // else it is still known whose it was
		delete(w.usable, ref)
		delete(w.kept, ref)
	}
}

// namingCall is one whose body, or whose path with more behind it, names an object.
func namingCall(as string, ref core.ObjectRef) call {
	c := call{as: as, method: "POST", path: "/v1/responses"}
	switch ref.Kind {
	case core.ObjectFile:
		c.body = fmt.Sprintf(`{"model":"gpt-4o-mini","store":false,"input":[{"role":"user","content":[{"type":"input_file","file_id":%q}]}]}`, ref.ID)
	case core.ObjectVectorStore:
		c.body = respond(fmt.Sprintf(`,"store":false,"max_tool_calls":1,"tools":[{"type":"file_search","vector_store_ids":[%q]}]`, ref.ID))
	case core.ObjectConversation:
		c.path, c.body = "/v1/conversations/"+ref.ID+"/items", `{"items":[{"role":"user","content":"How are my tickets?"}]}`
	default:
		c.method, c.path = "GET", "/v1/responses/"+ref.ID+"/input_items"
	}
	return c
}

func answersWith(t *testing.T, x *gate.Exchange, status int) {
	if _, reply := x.ObserveHead(t.Context(), gate.AnswerHead{Status: status, ContentType: jsonType}, false); reply != nil {
		t.Fatalf("the answer was replaced: %s", reply.Body)
	}
}

// list has somebody list the files, or the vector stores, of the account: they see those that they can use, and no other.
func (w *objectWorld) list(rt *rapid.T) {
	as := rapid.SampledFrom(everybody).Draw(rt, "as")
	kind := rapid.SampledFrom([]core.ObjectKind{core.ObjectFile, core.ObjectVectorStore}).Draw(rt, "kind")
	var page, want []string
	for _, ref := range slices.SortedFunc(maps.Keys(w.kept), func(a, b core.ObjectRef) int { return strings.Compare(a.ID, b.ID) }) {
		if ref.Kind != kind {
			continue
		}
		page = append(page, fmt.Sprintf(`{"id":%q}`, ref.ID))
		if w.usable[ref] && w.kept[ref] == as {
			want = append(want, fmt.Sprintf(`{"id":%q}`, ref.ID))
		}
	}
	seen := call{as: as, method: "GET", path: directories[kind]}.
		answered(w.t, w.gate, 200, jsonType, `{"object":"list","data":[`+strings.Join(page, ",")+`],"has_more":false}`)
	if expect := `{"object":"list","data":[` + strings.Join(want, ",") + `],"has_more":false}`; seen != expect {
		rt.Fatalf("%q sees %s, want %s", as, seen, expect)
	}
}

// Whoever makes, uses, lists and deletes whatever in whatever order, with answers that are left, processes that die and a
// store that fails: nobody ever gets at what another made, and makers get at what they were given whole.
func TestModelOfObjects(t *testing.T) {
	round := 0
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		round++
		w := &objectWorld{
			t: t, path: filepath.Join(dir, fmt.Sprintf("%d.db", round)), kept: map[core.ObjectRef]string{}, usable: map[core.ObjectRef]bool{},
		}
		w.restart()
		defer w.stop()
		rt.Repeat(map[string]func(*rapid.T){
			"make": w.make, "make more": w.make, "try": w.try, "try more": w.try, "try again": w.try, "list": w.list,
			"restart": func(*rapid.T) { w.restart() },
			"fail":    func(rt *rapid.T) { w.failed = !w.failed },
		})
	})
}
