package yamldoc

import (
	"encoding"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxNesting bounds lists and maps within one another. The parser's time grows with the square of it.
const maxNesting = 32

// maxKeys bounds the keys of one map. The parser's time grows with the square of them.
const maxKeys = 4096

// maxKey bounds a key, in bytes. The parser, and Document, keep for everything below it a path that begins with it.
const maxKey = 256

// Decode reads data into the struct that into points to and leaves fields that the document does not name as they are.
// name stands for the file in messages. The result is never nil; whether all was well is what its Err says.
func Decode(name string, data []byte, into any) *Document {
	d := &Document{name: name, at: map[string]position{}}
	if len(data) > MaxSize {
		d.Problem("", "larger than "+strconv.Itoa(MaxSize>>20)+" MiB")
		return d
	}
	if p := forbidden(data); p != nil {
		d.report(*p)
		return d
	}
	tokens := lexer.Tokenize(string(data))
	if t := tooDeep(tokens); t != nil {
		d.problem("", t, "nested too deeply")
		return d
	}
	if t := tooWide(tokens); t != nil {
		d.problem("", t, "more than "+strconv.Itoa(maxKeys)+" keys in one map")
		return d
	}
	if t := longKey(tokens); t != nil {
		d.problem("", t, "a key of more than "+strconv.Itoa(maxKey)+" bytes")
		return d
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // duplicates are found below, all of them
	if err != nil {
		var syntax yaml.Error
		if errors.As(err, &syntax) { // its message alone: its text quotes the source
			d.problem("", syntax.GetToken(), syntax.GetMessage())
		} else {
			d.Problem("", "not YAML")
		}
		return d
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.CommentType:
		case body != nil:
			d.problem("", start(doc.Body), "a second document; one is expected")
			return d
		default:
			body = doc.Body
		}
	}
	if body != nil {
		d.value("", body, reflect.ValueOf(into).Elem())
	}
	return d
}

// tooDeep gives the token that opens one level too many, nil if none does. Levels opened by indentation alone need not
// be counted: n of them take n²/2 bytes.
func tooDeep(tokens token.Tokens) *token.Token {
	flow, inLine, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, inLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			inLine++
		default:
		}
		if flow > maxNesting || inLine > maxNesting {
			return t
		}
	}
	return nil
}

// longKey gives a key that is too long, nil if there is none.
func longKey(tokens token.Tokens) *token.Token {
	for i, t := range tokens {
		if t.Type == token.MappingValueType && i > 0 && len(tokens[i-1].Value) > maxKey {
			return tokens[i-1]
		}
	}
	return nil
}

// tooWide gives the token of one key too many in a map that is written line by line, nil if there is none. Keys in one column
// are of one map unless an item of a list, or a key further left, stands between.
func tooWide(tokens token.Tokens) *token.Token {
	type open struct{ column, keys int }
	var maps []open // that the token at hand can be in, from the left
	leave := func(column int) {
		for len(maps) > 0 && maps[len(maps)-1].column > column {
			maps = maps[:len(maps)-1]
		}
	}
	for i, t := range tokens {
		switch {
		case t.Type == token.SequenceEntryType:
			leave(t.Position.Column)
		case t.Type == token.MappingValueType && i > 0:
			column := tokens[i-1].Position.Column
			leave(column)
			if len(maps) == 0 || maps[len(maps)-1].column < column {
				maps = append(maps, open{column: column})
			}
			last := &maps[len(maps)-1]
			if last.keys == maxKeys {
				return t
			}
			last.keys++
		}
	}
	return nil
}

func (d *Document) problem(path string, t *token.Token, message string) {
	p := Problem{Line: 1, Column: 1, Path: path, Message: message}
	if t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	d.report(p)
}

// start gives the first token of a node. A block map's own is the colon after its first key.
func start(node ast.Node) *token.Token {
	if m, ok := node.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken()
	}
	return node.GetToken()
}

// value reads node into v. It goes on after a problem, so that all of them are found.
func (d *Document) value(path string, node ast.Node, v reflect.Value) {
	t := start(node)
	if path != "" && t != nil && t.Position != nil {
		d.at[path] = placeOf(node, t)
	}
	switch node.Type() {
	case ast.AnchorType, ast.AliasType, ast.TagType, ast.DirectiveType, ast.MergeKeyType:
		d.problem(path, t, "anchors, aliases, tags and directives are not supported")
		return
	case ast.NullType:
		if k := v.Kind(); isScalar(v) || k != reflect.Struct && k != reflect.Map {
			d.problem(path, t, "has no value")
		}
		return
	default:
	}
	switch {
	case v.Kind() == reflect.Pointer:
		to := reflect.New(v.Type().Elem())
		d.value(path, node, to.Elem())
		v.Set(to)
	case isScalar(v):
		d.scalar(path, node, v)
	case v.Kind() == reflect.Struct:
		d.fields(path, node, v)
	case v.Kind() == reflect.Map:
		d.entries(path, node, v)
	case v.Kind() == reflect.Slice:
		d.items(path, node, v)
	default:
		d.problem(path, t, "cannot be set in a document")
	}
}

// placeOf says where a node stands, and where its text does if it is one.
func placeOf(node ast.Node, t *token.Token) position {
	p := position{line: t.Position.Line, column: t.Position.Column}
	switch n := node.(type) {
	case *ast.StringNode:
		switch {
		case strings.Contains(n.Token.Origin, "\\"), strings.Contains(strings.Trim(n.Token.Origin, " \n"), "\n"):
		case t.Type == token.DoubleQuoteType, t.Type == token.SingleQuoteType:
			p.text.line, p.text.column = p.line, p.column+1
		default:
			p.text.line, p.text.column = p.line, p.column
		}
	case *ast.LiteralNode:
		if n.Start.Type == token.LiteralType {
			first, _, _ := strings.Cut(n.Value.Token.Origin, "\n")
			p.text.line, p.text.column = p.line+1, len(first)-len(strings.TrimLeft(first, " "))+1
			p.block = true
		}
	}
	return p
}

func (d *Document) fields(path string, node ast.Node, v reflect.Value) {
	names := keysOf(v.Type())
	d.eachKey(path, node, func(key string, keyToken *token.Token, value ast.Node) {
		i, ok := names.index[key]
		if !ok {
			d.problem(path, keyToken, "unknown key "+quoteKey(key)+DidYouMean(key, names.list))
			return
		}
		d.value(Key(path, key), value, v.Field(i))
	})
}

func (d *Document) entries(path string, node ast.Node, v reflect.Value) {
	if v.Type().Key().Kind() != reflect.String {
		d.problem(path, node.GetToken(), "cannot be set in a document")
		return
	}
	into := reflect.MakeMap(v.Type())
	d.eachKey(path, node, func(key string, _ *token.Token, value ast.Node) {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(Key(path, key), value, e)
		into.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), e)
	})
	v.Set(into)
}

func (d *Document) items(path string, node ast.Node, v reflect.Value) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		d.problem(path, start(node), "must be a list")
		return
	}
	into := reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values))
	for i, item := range list.Values {
		d.value(Index(path, i), item, into.Index(i))
	}
	v.Set(into)
}

// eachKey calls f for every key of a map that is given once, and reports the others.
func (d *Document) eachKey(path string, node ast.Node, f func(key string, t *token.Token, value ast.Node)) {
	m, ok := node.(ast.MapNode)
	if !ok {
		d.problem(path, start(node), "must be a map of keys to values")
		return
	}
	seen := map[string]int{}
	for entries := m.MapRange(); entries.Next(); {
		k := entries.Key()
		t := k.GetToken()
		if _, ok := k.(ast.ScalarNode); !ok || t == nil || k.IsMergeKey() {
			d.problem(path, t, "a key must be plain text")
			continue
		}
		key := t.Value
		if line, ok := seen[key]; ok {
			d.problem(path, t, "key "+quoteKey(key)+" is given twice, first in line "+strconv.Itoa(line))
			continue
		}
		seen[key] = t.Position.Line
		f(key, t, entries.Value())
	}
}

func (d *Document) scalar(path string, node ast.Node, v reflect.Value) {
	var text string
	switch n := node.(type) {
	case *ast.LiteralNode:
		text = n.Value.Value
	case *ast.StringNode:
		text = n.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		text = n.GetToken().Value
	default:
		d.problem(path, start(node), "must be "+TypeName(v.Type()))
		return
	}
	isWord := node.Type() == ast.StringType || node.Type() == ast.LiteralType
	switch _, isText := v.Addr().Interface().(encoding.TextUnmarshaler); {
	case isText, v.Type() == durationType:
	case v.Kind() == reflect.String && !isWord:
		d.problem(path, node.GetToken(), "must be text; put it in quotes")
		return
	case v.Kind() != reflect.String && isWord:
		d.problem(path, node.GetToken(), "must be "+TypeName(v.Type()))
		return
	}
	if err := SetText(v.Addr().Interface(), text); err != nil {
		d.problem(path, node.GetToken(), err.Error())
	}
}

// quoteKey shows a key, or its beginning.
func quoteKey(key string) string {
	const most = 40
	if r := []rune(key); len(r) > most {
		key = string(r[:most]) + "…"
	}
	return strconv.Quote(key)
}

type keys struct {
	list  []string
	index map[string]int
}

func keysOf(t reflect.Type) keys {
	k := keys{index: map[string]int{}}
	for i := range t.NumField() {
		if name := keyOf(t.Field(i)); name != "" {
			k.list = append(k.list, name)
			k.index[name] = i
		}
	}
	return k
}

// keyOf gives the key of a field, empty when documents cannot set it.
func keyOf(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if !f.IsExported() || name == "-" {
		return ""
	}
	return name
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isScalar reports whether v is set from one word rather than from a list or a map.
func isScalar(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Bool, reflect.Float64, reflect.Int, reflect.Int64:
		return true
	default:
		return reflect.PointerTo(v.Type()).Implements(textType)
	}
}
