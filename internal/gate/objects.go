package gate

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// Owners knows whose the objects at the provider are. See store.Ownership.
type Owners interface {
	// Own must return nil only when it is durable, and must not give another's object away.
	Own(ctx context.Context, o core.OwnedObject) error
	// Owned gives an object, or false for one that nobody is known to own.
	Owned(ctx context.Context, ref core.ObjectRef) (core.OwnedObject, bool, error)
	// OwnedBy gives the ids of an owner's objects of a kind.
	OwnedBy(ctx context.Context, kind core.ObjectKind, owner core.Owner) ([]string, error)
	// Count notes how many tokens going on from an object takes, 0 for not known.
	Count(ctx context.Context, ref core.ObjectRef, model string, tokens int64) error
	// Add raises that in one step; what is not known stays so.
	Add(ctx context.Context, ref core.ObjectRef, model string, tokens int64) error
	Disown(ctx context.Context, ref core.ObjectRef) error
}

// objects is what an exchange has to do with objects at the provider.
type objects struct {
	// refs are those that the request names. From guard on they are the caller's own.
	refs []core.ObjectRef
	// listed are the ids of the caller's own, for a list of everybody's.
	listed map[string]bool
	// earlier is how many tokens of turns that are kept at the provider come before the request, at most.
	earlier int64
	// upload is the media type of a file that the request leaves with the provider.
	upload string
	// conversation is the one that the exchange adds a turn to, as it was before.
	conversation core.OwnedObject
}

// readOwned reads the body of a request that has to do with objects at the provider.
func (x *Exchange) readOwned(body []byte) *core.Error {
	switch {
	case x.endpoint.BodyLimit == 0:
		return nil
	case x.endpoint.Form:
		return x.readUpload(body)
	}
	request, err := openai.Read(x.endpoint, x.head.ContentType, body, x.gate.allowance(x.pinned.policy, x.principal()))
	x.request = request
	return err
}

// readUpload reads a file that is to be left with the provider.
func (x *Exchange) readUpload(body []byte) *core.Error {
	upload, err := openai.ReadUpload(x.head.ContentType, body)
	if err != nil {
		return err
	}
	x.objects.upload = upload.Media
	return x.checkPurpose(upload.Purpose)
}

// checkPurpose refuses a file that the policy does not take. What is in it passes unread.
func (x *Exchange) checkPurpose(purpose string) *core.Error {
	if slices.Contains(x.pinned.policy.RequestsOf(x.principal()).FilePurposes, policy.FilePurpose(purpose)) {
		return nil
	}
	e := &core.Error{Reason: core.ReasonUnsupportedParameter, Param: "purpose", Rule: "requests.file_purposes"}
	switch purpose {
	case "batch", "evals":
		e.Public = "Files for " + purpose + " hold prompts that would pass unread and uncharged, and are not taken. Send the prompts one by one."
	default:
		e.Public = "Files for " + purpose + " are not taken by the policy (" + e.Rule + "): what they hold is not judged. " +
			"Send what is in it in the request itself."
	}
	return e
}

// guard refuses a request that has to do with an object which is not the caller's own. Whether it is another's or nobody's
// makes no difference to the answer: neither is looked up at the provider.
func (x *Exchange) guard(ctx context.Context) *core.Error {
	refs, inBody, err := x.names()
	if err != nil {
		return err
	}
	if len(refs) == 0 && x.endpoint.Access != openai.AccessList {
		return nil
	}
	defer x.clock.lap(telemetry.StageOwner)
	x.objects.refs = refs
	for i, ref := range refs {
		o, known, err := x.gate.o.Owners.Owned(ctx, ref)
		switch {
		case err != nil:
			return core.AsError(fmt.Errorf("looking up whose an object at the provider is: %w", err))
		case !known || o.Owner != x.principal().Owner():
			return notFound(ref, i >= inBody)
		}
		x.goesOnFrom(o)
	}
	if x.endpoint.Access == openai.AccessList {
		return x.list(ctx)
	}
	return nil
}

// names gives the objects that the path, the query and the body name. From inBody on they are those of the body.
func (x *Exchange) names() (refs []core.ObjectRef, inBody int, err *core.Error) {
	refs = openai.Named(x.endpoint, x.head.Path)
	if x.endpoint.Access == openai.AccessList && x.object != "" {
		refs = append(refs, core.ObjectRef{Kind: x.endpoint.Object, ID: x.object})
	}
	inBody = len(refs)
	if x.request == nil {
		return refs, inBody, nil
	}
	for _, ref := range x.request.Objects {
		if !openai.IsID(ref.ID) {
			return nil, 0, notFound(ref, true) // and not recorded: it is a text
		}
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs, inBody, nil
}

// list looks up what of a list the caller may see.
func (x *Exchange) list(ctx context.Context) *core.Error {
	ids, err := x.gate.o.Owners.OwnedBy(ctx, x.endpoint.Object, x.principal().Owner())
	if err != nil {
		return core.AsError(fmt.Errorf("looking up the caller's objects at the provider: %w", err))
	}
	x.objects.listed = make(map[string]bool, len(ids))
	for _, id := range ids {
		x.objects.listed[id] = true
	}
	return nil
}

// anyModel stands for the model of a conversation to which items were added, and that no model has answered in yet: what is
// counted of it bounds it for every model.
const anyModel = "*"

// goesOnFrom adds the turns that an object holds to the input of the request.
func (x *Exchange) goesOnFrom(o core.OwnedObject) {
	if o.Kind == core.ObjectConversation && x.judges() {
		x.objects.conversation = o
	}
	if !x.charged() {
		return
	}
	switch {
	case o.Model == "": // it has no turns yet
	case (o.Model == x.request.Model || o.Model == anyModel) && o.Tokens > 0:
		x.objects.earlier += o.Tokens
	default: // not known, or counted for a model that may count otherwise
		x.objects.earlier += x.contextWindow()
	}
}

// withEarlier adds the turns before it to the input of the request itself: all together no more than the model reads.
func (x *Exchange) withEarlier(input int64) int64 {
	if x.objects.earlier == 0 {
		return input
	}
	return max(input, min(input+x.objects.earlier, x.contextWindow()))
}

func (x *Exchange) contextWindow() int64 { return cmp.Or(x.hold.model.ContextWindow, unknownContext) }

// contextBound is how many tokens going on from the answer can take at most, before it is there, and for which model: all
// that is read for it, and the most that it may say. 0 where nothing bounds that. A request that no model answers adds its
// items to those of the conversation.
func (x *Exchange) contextBound() (model string, tokens int64) {
	if x.charged() {
		if most, bounded := x.output().Max(); bounded {
			tokens = x.inputBound() + most
		}
		return x.request.Model, tokens
	}
	c := x.objects.conversation
	known := c.Tokens > 0 || c.Model == ""
	if known && x.request.Contexts() == 0 {
		tokens = c.Tokens + x.request.InputBound()
	}
	return cmp.Or(c.Model, anyModel), tokens
}

// beginTurn notes what the conversation can hold at most once it has the turn at hand. Where the process dies, the caller
// leaves or the provider does not say what it used, that stays: the turn may have been added.
func (x *Exchange) beginTurn(ctx context.Context) *core.Error {
	c := x.objects.conversation
	if c.ID == "" {
		return nil
	}
	defer x.clock.lap(telemetry.StageOwner)
	if err := x.noteTurn(ctx, c); err != nil {
		return core.AsError(fmt.Errorf("noting a turn of a conversation: %w", err))
	}
	return nil
}

// noteTurn adds items in one step, so that of several at the same time none is lost.
func (x *Exchange) noteTurn(ctx context.Context, c core.OwnedObject) error {
	if !x.charged() && x.request.Contexts() == 0 {
		return x.gate.o.Owners.Add(ctx, c.ObjectRef, anyModel, x.request.InputBound())
	}
	model, tokens := x.contextBound()
	return x.gate.o.Owners.Count(ctx, c.ObjectRef, model, tokens)
}

// keepObjects notes what the answer did to objects at the provider. It comes before the outcome, and so before the last
// byte of the answer: whoever holds the whole of it can use what it made. A failure leaves the object nobody's.
func (x *Exchange) keepObjects(ctx context.Context, s seen) {
	var err error
	switch succeeded := x.answer.status >= 200 && x.answer.status < 300; {
	case x.endpoint.Access == openai.AccessMake && succeeded && s.object != "" && x.keeps():
		err = x.own(ctx, core.ObjectRef{Kind: x.endpoint.Object, ID: s.object}, s)
	case x.endpoint.Access == openai.AccessDelete && (succeeded || x.answer.status == http.StatusNotFound):
		err = x.gate.o.Owners.Disown(ctx, x.objects.refs[0])
	}
	if err == nil {
		err = x.endTurn(ctx, s)
	}
	if err != nil {
		x.gate.o.Metrics.FailedClosed("owner")
		x.gate.o.Log.Error("what an answer did to an object at the provider could not be noted; nobody can use what it made",
			"exchange", x.id, "error", err)
	}
}

// endTurn notes what the conversation holds now.
func (x *Exchange) endTurn(ctx context.Context, s seen) error {
	c := x.objects.conversation
	switch refused := x.answer.status >= 400 && x.answer.status < 500; {
	case c.ID == "":
		return nil
	case refused && !x.charged(): // others may have added since: what was noted stays, as a bound
		return nil
	case refused: // no turn was added
		return x.gate.o.Owners.Count(ctx, c.ObjectRef, c.Model, c.Tokens)
	case s.context > 0:
		return x.gate.o.Owners.Count(ctx, c.ObjectRef, x.request.Model, s.context)
	}
	return nil
}

// keeps reports whether the provider keeps what the answer made.
func (x *Exchange) keeps() bool { return x.request == nil || !x.request.Unstored }

// own notes an object that the answer made as the caller's, and has the outcome name it.
func (x *Exchange) own(ctx context.Context, ref core.ObjectRef, s seen) error {
	if !openai.IsID(ref.ID) {
		return fmt.Errorf("the provider made a %s whose id has no form of one", ref.Kind)
	}
	x.objects.refs = append(x.objects.refs, ref)
	by, tokens, model := x.principal(), s.context, x.model()
	if tokens == 0 && x.judges() {
		model, tokens = x.contextBound()
	}
	return x.gate.o.Owners.Own(ctx, core.OwnedObject{
		ObjectRef: ref, Owner: by.Owner(), App: by.App, Team: by.Team, Endpoint: x.endpoint.Name,
		Created: x.gate.o.Now().UTC(), Tokens: tokens, Model: model,
	})
}

// contextOf is how many tokens going on from the answer takes: all that was read for it, and all that was written. 0 where
// the provider did not say so in a way that can be believed.
func (x *Exchange) contextOf() int64 {
	if !x.charged() || x.answer.reader == nil || x.answer.failed {
		return 0
	}
	// Not what was charged: after a cut the provider went on, and keeps all of it.
	if u, ok := x.answer.reader.Usage(); ok && x.believable(u) {
		return u.TotalTokens()
	}
	return 0
}

// notFound is what a caller is told of an object that is not its own.
func notFound(ref core.ObjectRef, inBody bool) *core.Error {
	e := &core.Error{
		Reason: core.ReasonObjectNotFound,
		Public: fmt.Sprintf("No %s with this id was found. An id is good for the user who made the object through this gateway, "+
			"or for the app where there was no user.", named(ref.Kind)),
	}
	if !inBody {
		return e
	}
	switch ref.Kind {
	case core.ObjectResponse:
		e.Param = openai.ParamPrevious
	case core.ObjectConversation:
		e.Param = openai.ParamConversation
	case core.ObjectFile:
		e.Param = openai.ParamFile
	case core.ObjectVectorStore, core.ObjectFileBatch:
		e.Param = openai.ParamStores
	}
	return e
}
