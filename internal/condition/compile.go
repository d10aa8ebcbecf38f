package condition

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/env"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"github.com/plumbline/plumbline/internal/yamldoc"
)

// functions are those of CEL that conditions may call. The others read time zones from files, make values of types that no
// fact has, or leave the types open.
var functions = []string{"size", "startsWith", "endsWith", "contains", "matches", "string", "int", "double"}

// macros are those of CEL that conditions may use.
var macros = []string{operators.All, operators.Exists, operators.ExistsOne, operators.Filter, operators.Map}

// signs are the operators, and what the macros are made of.
var signs = []string{
	operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Equals, operators.NotEquals,
	operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.Add, operators.Subtract,
	operators.Multiply, operators.Divide, operators.Modulo, operators.Negate, operators.Index, operators.In, operators.NotStrictlyFalse,
}

// NewEnv declares the variables of an F. Their names are theirs alone.
func NewEnv[F any](variables ...Variable[F]) (*Env[F], error) {
	e := &Env[F]{variables: variables, places: make(map[string]int, len(variables))}
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{IncludeMacros: macros, IncludeFunctions: included()})),
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserExpressionSizeLimit(MaxLength),
		cel.ParserErrorRecoveryLimit(1),
		cel.CrossTypeNumericComparisons(true), // deviation.score > 1 is meant as 1.0
		cel.ASTValidators(cel.ValidateHomogeneousAggregateLiterals(), cel.ValidateComprehensionNestingLimit(maxLoops)),
	}
	for i, v := range variables {
		e.places[v.name] = i
		e.names = append(e.names, v.name)
		options = append(options, cel.Variable(v.name, v.of))
	}
	if len(e.places) < len(variables) {
		return nil, errors.New("condition: a variable is declared twice")
	}
	var err error
	if e.cel, err = cel.NewCustomEnv(options...); err != nil {
		return nil, fmt.Errorf("condition: %w", err)
	}
	return e, nil
}

func included() []*env.Function {
	var list []*env.Function
	for _, name := range slices.Concat(functions, signs) {
		list = append(list, &env.Function{Name: name})
	}
	return list
}

// Variables lists what conditions can read, in the order of their declaration.
func (e *Env[F]) Variables() []Variable[F] { return e.variables }

// Condition is a compiled condition over an F.
type Condition[F any] struct {
	// free counts no cost: values of the declared sizes cannot make it cost more than was reckoned. metered ends at MaxCost,
	// and is for larger ones. Counting takes as long again as evaluating does.
	free, metered cel.Program
	cost          uint64
	reads         []string
	places        []int // of what it reads
}

// Cost is the most that it can cost, as reckoned from its text. See MaxCost.
func (c *Condition[F]) Cost() uint64 { return c.cost }

// Reads names the variables that it reads, in the order of their declaration.
func (c *Condition[F]) Reads() []string { return c.reads }

// Holds evaluates the condition.
func (c *Condition[F]) Holds(v *Values[F]) (bool, error) {
	program := c.free
	for _, place := range c.places {
		if v.at(place); v.large[place] {
			program = c.metered
		}
	}
	out, _, err := program.Eval(v)
	if err != nil {
		return false, err
	}
	holds, ok := out.(types.Bool)
	if !ok {
		return false, errors.New("condition: neither true nor false")
	}
	return bool(holds), nil
}

// Compile compiles a condition. Without problems there is one.
func (e *Env[F]) Compile(text string) (*Condition[F], []Problem) {
	if n := utf8.RuneCountInString(text); n > MaxLength {
		return nil, []Problem{{1, 1, fmt.Sprintf("has %d characters; at most %d are allowed", n, MaxLength)}}
	}
	if !utf8.ValidString(text) {
		return nil, []Problem{{1, 1, "is not text in UTF-8"}}
	}
	parsed, issues := e.cel.Parse(text)
	if issues.Err() != nil {
		return nil, problemsOf(issues)
	}
	w := &walk{variables: e.names, info: parsed.NativeRep().SourceInfo(), read: map[string]bool{}}
	w.expr(parsed.NativeRep().Expr())
	if len(w.problems) > 0 {
		return nil, w.problems
	}
	checked, issues := e.cel.Check(parsed)
	if issues.Err() != nil {
		return nil, problemsOf(issues)
	}
	if got := checked.OutputType(); !got.IsExactType(types.BoolType) {
		return nil, []Problem{{1, 1, "must be true or false, and is of type " + got.String()}}
	}
	return e.plan(checked, w.read)
}

// plan makes a checked condition ready, unless it can cost too much.
func (e *Env[F]) plan(checked *cel.Ast, read map[string]bool) (*Condition[F], []Problem) {
	cost, err := e.cel.EstimateCost(checked, sizes[F]{e})
	switch {
	case err != nil:
		return nil, []Problem{{1, 1, "its cost cannot be reckoned"}}
	case cost.Max == math.MaxUint64:
		return nil, []Problem{{1, 1, fmt.Sprintf("can cost without bound; at most %d is allowed", MaxCost)}}
	case cost.Max > MaxCost:
		return nil, []Problem{{1, 1, fmt.Sprintf("can cost up to %d; at most %d is allowed", cost.Max, MaxCost)}}
	}
	free, err1 := e.cel.Program(checked, cel.EvalOptions(cel.OptOptimize))
	metered, err2 := e.cel.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(MaxCost))
	if err := errors.Join(err1, err2); err != nil {
		return nil, []Problem{{1, 1, "cannot be evaluated: " + plain(err.Error())}}
	}
	c := &Condition[F]{free: free, metered: metered, cost: cost.Max}
	if len(read) == 0 { // it is the same whatever the facts are: 1/0 is found now
		values := e.Of(nil)
		defer values.Done()
		if _, err := c.Holds(values); err != nil {
			return nil, []Problem{{1, 1, "can never be evaluated: " + plain(err.Error())}}
		}
	}
	for place, name := range e.names {
		if read[name] {
			c.reads, c.places = append(c.reads, name), append(c.places, place)
		}
	}
	return c, nil
}

// sizes tells CEL how large values usually are at most. What is larger meets the limit when it is evaluated.
type sizes[F any] struct{ env *Env[F] }

// itemSize is the most characters that an item of a list usually has.
const itemSize = 128

// EstimateSize implements CEL's CostEstimator.
func (s sizes[F]) EstimateSize(element checker.AstNode) *checker.SizeEstimate {
	path := element.Path()
	if len(path) == 0 {
		return nil
	}
	most := uint64(itemSize)
	if i, ok := s.env.places[path[0]]; ok && len(path) == 1 {
		most = s.env.variables[i].most
	}
	return &checker.SizeEstimate{Min: 0, Max: most}
}

// EstimateCallCost implements CEL's CostEstimator.
func (sizes[F]) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// walk finds what a parsed condition reads and calls, before types are checked: with better words for what is misspelt.
type walk struct {
	variables []string
	bound     []string // variables of the loops around
	info      *ast.SourceInfo
	read      map[string]bool
	problems  []Problem
}

func (w *walk) problem(e ast.Expr, message string) {
	at := w.info.GetStartLocation(e.ID())
	w.problems = append(w.problems, Problem{max(at.Line(), 1), max(at.Column(), 0) + 1, message})
}

func (w *walk) expr(e ast.Expr) {
	if name, ok := dotted(e); ok {
		w.name(e, name)
		return
	}
	switch e.Kind() {
	case ast.SelectKind:
		w.expr(e.AsSelect().Operand())
	case ast.CallKind:
		w.call(e)
	case ast.ComprehensionKind:
		w.loop(e.AsComprehension())
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			w.expr(item)
		}
	case ast.MapKind, ast.StructKind: // CEL reckons what is taken out of them too low
		w.problem(e, "maps and messages cannot be made in a condition")
	default:
	}
}

// dotted gives a name with dots, if e is one.
func dotted(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent(), true
	case ast.SelectKind:
		if s := e.AsSelect(); !s.IsTestOnly() {
			name, ok := dotted(s.Operand())
			return name + "." + s.FieldName(), ok
		}
	default:
	}
	return "", false
}

func (w *walk) name(e ast.Expr, name string) {
	first, _, _ := strings.Cut(name, ".")
	switch {
	case slices.Contains(w.bound, first):
	case slices.Contains(w.variables, name):
		w.read[name] = true
	default:
		for at := e; ; at = at.AsSelect().Operand() { // the place of its first part
			if at.Kind() == ast.IdentKind {
				w.problem(at, "no fact is called "+shown(name)+w.suggest(name))
				return
			}
		}
	}
}

// suggest gives a name that may be meant: a similar one, or those of a group.
func (w *walk) suggest(name string) string {
	var group []string
	for _, v := range w.variables {
		if strings.HasPrefix(v, name+".") {
			group = append(group, v)
		}
	}
	if len(group) > 0 {
		return "; there are " + strings.Join(group, ", ")
	}
	return yamldoc.DidYouMean(name, w.variables)
}

func (w *walk) call(e ast.Expr) {
	c := e.AsCall()
	name := c.FunctionName()
	if !slices.Contains(functions, name) && !slices.Contains(signs, name) {
		known := append(slices.Clone(functions), "all", "exists", "exists_one", "filter", "map")
		w.problem(e, "no function is called "+shown(name)+yamldoc.DidYouMean(name, known))
		if last := &w.problems[len(w.problems)-1]; last.Column > utf8.RuneCountInString(name) {
			last.Column -= utf8.RuneCountInString(name) // CEL gives the place of the parenthesis
		}
	}
	if c.IsMemberFunction() {
		w.expr(c.Target())
	}
	for _, a := range c.Args() {
		w.expr(a)
	}
	if name == "matches" && len(c.Args()) > 0 {
		w.pattern(c.Args()[len(c.Args())-1])
	}
}

// pattern allows regular expressions that are written out: one made of facts could be anybody's.
func (w *walk) pattern(e ast.Expr) {
	if e.Kind() != ast.LiteralKind {
		w.problem(e, "the pattern of matches must be written out")
		return
	}
	text, ok := e.AsLiteral().(types.String)
	switch {
	case !ok:
		w.problem(e, "the pattern of matches must be text")
	case len(text) > maxPattern:
		w.problem(e, fmt.Sprintf("the pattern has %d bytes; at most %d are allowed", len(text), maxPattern))
	default:
		if _, err := regexp.Compile(string(text)); err != nil {
			w.problem(e, "the pattern is not a regular expression (RE2)")
		}
	}
}

func (w *walk) loop(c ast.ComprehensionExpr) {
	w.expr(c.IterRange())
	outer := len(w.bound)
	w.bound = append(w.bound, c.IterVar(), c.AccuVar())
	if c.HasIterVar2() {
		w.bound = append(w.bound, c.IterVar2())
	}
	for _, e := range []ast.Expr{c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
		w.expr(e)
	}
	w.bound = w.bound[:outer]
}

// problemsOf gives what CEL found, in Plumbline's form.
func problemsOf(issues *cel.Issues) []Problem {
	var list []Problem
	for _, e := range issues.Errors() {
		list = append(list, Problem{max(e.Location.Line(), 1), max(e.Location.Column(), 0) + 1, plain(e.Message)})
	}
	slices.SortStableFunc(list, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) })
	return list
}

// plain shortens a message of CEL to one line.
func plain(message string) string {
	message = strings.TrimPrefix(strings.ReplaceAll(message, " (in container '')", ""), "Syntax error: ")
	message, _, _ = strings.Cut(message, "\n")
	return shorten(message, 200)
}

// shown is a name for a message, or its beginning.
func shown(name string) string { return fmt.Sprintf("%q", shorten(name, 40)) }

func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
