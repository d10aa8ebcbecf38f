package redis

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua
var sources embed.FS

// script is one operation, a function that the server has or is sent.
type script struct{ name string }

// scripts are all of them, and the library that holds them.
type scripts struct {
	library                                                                                string
	reserve, extend, resolve, touch, look, due, owned, post, mark, heartbeat, begin, state script
}

// loadScripts makes the library: what the functions share, then each of them. Its name and theirs carry a digest of the text,
// so that those of several versions live side by side.
func loadScripts() (*scripts, error) {
	var s scripts
	files := []struct {
		name string
		into *script
	}{
		{"reserve", &s.reserve},
		{"extend", &s.extend},
		{"resolve", &s.resolve},
		{"touch", &s.touch},
		{"look", &s.look},
		{"due", &s.due},
		{"owned", &s.owned},
		{"post", &s.post},
		{"mark", &s.mark},
		{"heartbeat", &s.heartbeat},
		{"begin", &s.begin},
		{"state", &s.state},
	}
	text, err := sources.ReadFile("lua/prelude.lua")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		body, err := sources.ReadFile("lua/" + f.name + ".lua")
		if err != nil {
			return nil, err
		}
		first, rest, _ := strings.Cut(string(body), "\n")
		flags := strings.TrimPrefix(first, "-- flags:")
		text = fmt.Appendf(text, "\nredis.register_function{function_name = NAME .. '_%s', flags = {%s}, callback = function(KEYS, ARGV)\n%s\nend}\n",
			f.name, flags, rest)
	}
	digest := sha256.Sum256(text)
	name := "plumbline_" + hex.EncodeToString(digest[:8])
	for _, f := range files {
		f.into.name = name + "_" + f.name
	}
	s.library = fmt.Sprintf("#!lua name=%s\nlocal NAME = '%s'\n%s", name, name, text)
	return &s, nil
}

// command makes the call of a script by its name. The keys are all in one slot.
func (s *script) command(ctx context.Context, keys []string, args ...any) *redis.SliceCmd {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, "fcall", s.name, len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	cmd := redis.NewSliceCmd(ctx, append(all, args...)...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// run calls a script, and sends the library where the server does not have it.
func (l *Ledger) run(ctx context.Context, s *script, keys []string, args ...any) (answer, error) {
	cmd := s.command(ctx, keys, args...)
	if err := l.together.do(ctx, cmd); err != nil {
		return answer{}, explain(err)
	}
	return l.answerOf(ctx, cmd)
}

// answerOf reads a command that was sent, in a pipeline perhaps.
func (l *Ledger) answerOf(ctx context.Context, cmd *redis.SliceCmd) (answer, error) {
	if redis.HasErrorPrefix(cmd.Err(), "Function not found") {
		if err := l.load(ctx); err != nil {
			return answer{}, explain(err)
		}
		again := redis.NewSliceCmd(ctx, cmd.Args()...)
		again.SetFirstKeyPos(3)
		_ = l.client.Process(ctx, again) // the error is the command's
		cmd = again
	}
	if err := cmd.Err(); err != nil {
		return answer{}, explain(err)
	}
	a := answer{values: cmd.Val()}
	a.status = status(a.int())
	a.at = a.time()
	if a.short {
		return answer{}, errAnswer
	}
	l.clock.set(a.at)
	return a, nil
}

// load gives the library to the server that holds the keys. Others may have done so meanwhile.
func (l *Ledger) load(ctx context.Context) error {
	node, err := l.node(ctx)
	if err != nil {
		return err
	}
	err = node.FunctionLoad(ctx, l.scripts.library).Err()
	if err != nil && strings.HasSuffix(err.Error(), "already exists") {
		return nil
	}
	return err
}
