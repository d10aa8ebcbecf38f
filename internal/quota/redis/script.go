package redis

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"embed"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua
var sources embed.FS

// script is one operation as the server runs it.
type script struct {
	source string
	sha    string
}

// scripts are all of them.
type scripts struct {
	reserve, extend, resolve, touch, look, due, owned, post, mark, heartbeat, begin script
}

// loadScripts puts before each, behind its line of flags, what it needs of what they share.
func loadScripts() (*scripts, error) {
	prelude, err := sources.ReadFile("lua/prelude.lua")
	if err != nil {
		return nil, err
	}
	var s scripts
	for name, into := range map[string]*script{
		"reserve": &s.reserve, "extend": &s.extend, "resolve": &s.resolve, "touch": &s.touch, "look": &s.look, "due": &s.due,
		"owned": &s.owned, "post": &s.post, "mark": &s.mark, "heartbeat": &s.heartbeat, "begin": &s.begin,
	} {
		body, err := sources.ReadFile("lua/" + name + ".lua")
		if err != nil {
			return nil, err
		}
		flags, rest, _ := strings.Cut(string(body), "\n")
		into.source = flags + "\n" + needed(string(prelude), rest)
		sum := sha1.Sum([]byte(into.source)) //nolint:gosec // see above
		into.sha = hex.EncodeToString(sum[:])
	}
	return &s, nil
}

var (
	comment  = regexp.MustCompile(`(?m)^[ \t]*--.*\n|[ \t]*--.*$`)
	defines  = regexp.MustCompile(`(?m)^local (?:function )?(\w+(?:, \w+)*)`)
	wordLike = regexp.MustCompile(`\w+`)
)

// needed gives a script with those blocks of the prelude before it that it names, or that they name: what a script defines
// is made anew at each call. Blocks stand apart by blank lines, and name only blocks before them. Comments are left out.
func needed(prelude, script string) string {
	whole := comment.ReplaceAllString(script, "")
	blocks := strings.Split(comment.ReplaceAllString(prelude, ""), "\n\n")
	named := map[string]bool{}
	for _, word := range wordLike.FindAllString(whole, -1) {
		named[word] = true
	}
	for _, block := range slices.Backward(blocks) {
		uses := false
		for _, names := range defines.FindAllStringSubmatch(block, -1) {
			uses = uses || slices.ContainsFunc(strings.Split(names[1], ", "), func(name string) bool { return named[name] })
		}
		if !uses {
			continue
		}
		for _, word := range wordLike.FindAllString(block, -1) {
			named[word] = true
		}
		whole = block + "\n" + whole
	}
	return whole
}

// command makes the call of a script by its name. The keys are all in one slot.
func (s *script) command(ctx context.Context, keys []string, args ...any) *redis.SliceCmd {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, "evalsha", s.sha, len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	cmd := redis.NewSliceCmd(ctx, append(all, args...)...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// run calls a script, and sends its text where the server does not have it.
func (l *Ledger) run(ctx context.Context, s *script, keys []string, args ...any) (answer, error) {
	cmd := s.command(ctx, keys, args...)
	if err := l.together.do(ctx, cmd); err != nil {
		return answer{}, l.explain(err)
	}
	return l.answerOf(ctx, s, cmd)
}

// answerOf reads a command that was sent, in a pipeline perhaps.
func (l *Ledger) answerOf(ctx context.Context, s *script, cmd *redis.SliceCmd) (answer, error) {
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		args := append([]any{"eval", s.source}, cmd.Args()[2:]...)
		cmd = redis.NewSliceCmd(ctx, args...)
		cmd.SetFirstKeyPos(3)
		_ = l.client.Process(ctx, cmd)
	}
	if err := cmd.Err(); err != nil {
		return answer{}, l.explain(err)
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
