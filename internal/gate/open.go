package gate

import (
	"context"

	"github.com/google/uuid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// Open says who calls what. A reply that is not nil refuses the request before its body is read; it is already
// recorded. The exchange is to be closed in either case, within CloseTimeout of the end of ctx: nobody keeps what it holds
// for longer.
func (g *Gate) Open(ctx context.Context, head Head) (*Exchange, *openai.Reply) {
	now := g.o.Now()
	x := &Exchange{
		gate:  g,
		head:  head,
		clock: clock{now: g.o.Now, opened: now, last: now, stages: make([]stageTime, 0, usualStages)},
	}
	x.hold.lease.ended = ctx.Done()
	x.clock.enter()
	defer x.clock.leave()
	x.pinned.policy = g.o.Policy()
	x.pinned.prices = g.o.Prices()
	if err := x.open(ctx); err != nil {
		return x, x.refuse(ctx, err)
	}
	return x, nil
}

func (x *Exchange) open(ctx context.Context) *core.Error {
	id, err := uuid.NewV7()
	if err != nil {
		return core.AsError(err)
	}
	x.id = id.String()
	directory, err := x.gate.o.Directory()
	if err != nil {
		return core.AsError(err)
	}
	x.pinned.directory = directory

	session, denied := x.gate.o.Identity.Authenticate(ctx, identity.Evidence{
		Authorization: x.head.Authorization, Workload: x.head.Workload, Certificate: x.head.Certificate,
	})
	x.clock.lap(telemetry.StageIdentity)
	if denied != nil {
		return denied
	}
	x.session = session
	x.gate.o.Sealer.Prepare(session.Principal)

	endpoint, named, denied := openai.Lookup(x.head.Method, x.head.Path)
	x.endpoint = endpoint
	if endpoint.Class == openai.ClassOwned {
		x.object = named
	} else {
		x.named = named
	}
	x.clock.lap(telemetry.StageWire)
	if denied != nil {
		return denied
	}
	return x.checkHead()
}

// checkHead refuses what the headers alone already decide.
func (x *Exchange) checkHead() *core.Error {
	switch {
	case x.head.Upgrade != "":
		return &core.Error{
			Reason: core.ReasonEndpointNotAllowed,
			Public: "Protocol upgrades (WebSocket) cannot be governed and are not allowed. Use the HTTP API.",
		}
	case x.head.ContentLength > x.BodyLimit():
		return bodyTooLarge(x.BodyLimit())
	case x.endpoint.BodyLimit == 0, x.head.ContentLength == 0 && x.endpoint.Class == openai.ClassOwned:
		return nil // there is no body, or Admit refuses it
	}
	return openai.CheckContent(x.endpoint, x.head.ContentType, x.head.ContentEncoding)
}
