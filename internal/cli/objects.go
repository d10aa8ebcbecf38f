package cli

import (
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// withStore opens the control data for one command. Changes are recorded in the name of the person at the terminal.
func (s *session) withStore(use func(st store.Store) error) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	st, err := app.OpenStore(s.ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	s.ctx = store.WithActor(s.ctx, actor())
	return use(st)
}

// actor names who runs the command, as the operating system knows them.
func actor() string {
	if u, err := user.Current(); err == nil {
		return "cli:" + u.Username
	}
	return fmt.Sprintf("cli:uid-%d", os.Getuid())
}

// listing describes one kind of object to the shared list, show and delete commands.
type listing[T any] struct {
	kind   string
	table  func(store.Store) store.Table[T]
	header []string
	row    func(T) []string
}

func (l listing[T]) list(s *session) error {
	return s.withStore(func(st store.Store) error {
		all, err := store.All(s.ctx, l.table(st), func(o T) string { return l.row(o)[0] })
		if err != nil {
			return err
		}
		return s.print(all, l.header, func(i int) []string { return l.row(all[i]) })
	})
}

func (l listing[T]) show(s *session, id string) error {
	return s.withStore(func(st store.Store) error {
		one, err := l.table(st).Get(s.ctx, id)
		if err != nil {
			return err
		}
		return s.printOne(one, l.header, 1, func(int) []string { return l.row(one) })
	})
}

func (l listing[T]) remove(s *session, id string) error {
	return s.withStore(func(st store.Store) error {
		return s.done(l.table(st).Delete(s.ctx, id), "%s %s is deleted", l.kind, id)
	})
}

func (l listing[T]) put(s *session, object T) error {
	return s.withStore(func(st store.Store) error {
		return s.done(l.table(st).Put(s.ctx, object), "%s %s is stored", l.kind, l.row(object)[0])
	})
}

// done says what was done, unless it failed.
func (s *session) done(err error, format string, args ...any) error {
	if err == nil {
		fmt.Fprintf(s.talk, format+"\n", args...)
	}
	return err
}

var users = listing[core.User]{
	"user",
	store.Store.Users,
	[]string{"USER", "TEAM", "NAME", "BLOCKED"},
	func(u core.User) []string { return []string{u.ID, u.Team, u.Name, fmt.Sprint(u.Blocked)} },
}

var teams = listing[core.Team]{
	"team",
	store.Store.Teams,
	[]string{"TEAM", "NAME"},
	func(t core.Team) []string { return []string{t.ID, t.Name} },
}

var apps = listing[core.App]{
	"app",
	store.Store.Apps,
	[]string{"APP", "TEAM", "NAME"},
	func(a core.App) []string { return []string{a.ID, a.Team, a.Name} },
}

var tasks = listing[core.Task]{
	"task",
	store.Store.Tasks,
	[]string{"TASK", "TITLE", "USERS", "TEAMS"},
	func(t core.Task) []string {
		return []string{t.ID, t.Title, strings.Join(t.Users, ","), strings.Join(t.Teams, ",")}
	},
}

// objectKind is what list, show and delete need to know of a kind of object.
type objectKind interface {
	list(*session) error
	show(s *session, id string) error
	remove(s *session, id string) error
}

// objectCmds are the commands that every kind of object has. Put differs, and is given.
type objectCmds[Put any] struct {
	List   listCmd   `cmd:"" help:"List every ${kind}."`
	Show   showCmd   `cmd:"" help:"Show one ${kind}."`
	Put    Put       `cmd:"" help:"Create or replace one ${kind}."`
	Delete deleteCmd `cmd:"" help:"Delete one ${kind}."`
}

type (
	listCmd struct{}
	showCmd struct {
		ID string `arg:"" help:"The id."`
	}
	deleteCmd struct {
		ID string `arg:"" help:"The id."`
	}
)

func (listCmd) Run(s *session, kind objectKind) error     { return kind.list(s) }
func (c showCmd) Run(s *session, kind objectKind) error   { return kind.show(s, c.ID) }
func (c deleteCmd) Run(s *session, kind objectKind) error { return kind.remove(s, c.ID) }

// bind hands the kind of a group of commands to the one that runs.
func bind(ctx *kong.Context, kind objectKind) error {
	ctx.BindTo(kind, (*objectKind)(nil))
	return nil
}

type userCmd struct {
	objectCmds[userPutCmd]
	Block   userBlockCmd   `cmd:"" help:"Refuse everything that a person asks, from now on."`
	Unblock userUnblockCmd `cmd:"" help:"Let a person call again."`
}

type userBlockCmd struct {
	ID string `arg:"" help:"The id."`
}

func (c userBlockCmd) Run(s *session) error {
	return s.withStore(func(st store.Store) error {
		return s.done(app.BlockUser(s.ctx, st, c.ID, true), "user %s is blocked", c.ID)
	})
}

type userUnblockCmd struct {
	ID string `arg:"" help:"The id."`
}

func (c userUnblockCmd) Run(s *session) error {
	return s.withStore(func(st store.Store) error {
		return s.done(app.BlockUser(s.ctx, st, c.ID, false), "user %s is not blocked", c.ID)
	})
}

func (userCmd) AfterApply(ctx *kong.Context) error { return bind(ctx, users) }

type userPutCmd struct {
	ID      string `arg:"" help:"The id: a-z, 0-9, '.', '_', '@' and '-'."`
	Name    string `help:"The person's name."`
	Team    string `help:"The team they belong to."`
	Blocked bool   `help:"Refuse everything they ask."`
}

func (c userPutCmd) Run(s *session) error {
	return users.put(s, core.User{ID: c.ID, Name: c.Name, Team: c.Team, Blocked: c.Blocked, Created: time.Now()})
}

type teamCmd struct{ objectCmds[teamPutCmd] }

func (teamCmd) AfterApply(ctx *kong.Context) error { return bind(ctx, teams) }

type teamPutCmd struct {
	ID   string `arg:"" help:"The id: a-z, 0-9, '.', '_', '@' and '-'."`
	Name string `help:"The team's name."`
}

func (c teamPutCmd) Run(s *session) error {
	return teams.put(s, core.Team{ID: c.ID, Name: c.Name, Created: time.Now()})
}

type appCmd struct {
	objectCmds[appPutCmd]
	Prompt appPromptCmd `cmd:"" help:"Register the system prompts that are an app's own."`
}

func (appCmd) AfterApply(ctx *kong.Context) error { return bind(ctx, apps) }

type appPutCmd struct {
	ID   string `arg:"" help:"The id: a-z, 0-9, '.', '_', '@' and '-'."`
	Name string `help:"The program's name."`
	Team string `help:"The team that runs it."`
}

func (c appPutCmd) Run(s *session) error {
	return apps.put(s, core.App{ID: c.ID, Name: c.Name, Team: c.Team, Created: time.Now()})
}

type taskCmd struct {
	objectCmds[taskPutCmd]
	Lint taskLintCmd `cmd:"" help:"Say what the descriptions of tasks lack, and draft topics."`
	Try  taskTryCmd  `cmd:"" help:"Show how a prompt compares with tasks, why, and what the policy would do."`
}

func (taskCmd) AfterApply(ctx *kong.Context) error { return bind(ctx, tasks) }

type taskPutCmd struct {
	ID          string   `arg:"" help:"The id: a-z, 0-9, '.', '_', '@' and '-'."`
	Title       string   `help:"What the work is called." required:""`
	Description string   `help:"What it is, in a few sentences."`
	Topic       []string `help:"A topic it covers; repeat it, about eight are good." sep:"none"`
	Example     []string `help:"A prompt that belongs to it; repeat it." sep:"none"`
	OutOfScope  []string `help:"A prompt that seems to belong to it, and does not; repeat it." sep:"none"`
	User        []string `help:"A person it is assigned to; repeat it."`
	Team        []string `help:"A team it is assigned to; repeat it."`
}

func (c taskPutCmd) Run(s *session) error {
	return tasks.put(s, core.Task{
		ID: c.ID, Title: c.Title, Description: c.Description, Topics: c.Topic,
		Examples: c.Example, OutOfScope: c.OutOfScope, Users: c.User, Teams: c.Team, Created: time.Now(),
	})
}

type applyCmd struct {
	File string `short:"f" help:"YAML file with teams, users, apps, tasks and limits." required:"" type:"existingfile"`
}

func (c applyCmd) Run(s *session) error {
	data, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	objects, err := app.ParseObjects(c.File, data)
	if err != nil {
		return configError{err}
	}
	return s.withStore(func(st store.Store) error {
		if err := st.Apply(s.ctx, objects); err != nil {
			return err
		}
		fmt.Fprintf(s.talk, "applied: %d teams, %d users, %d apps, %d tasks, %d limits\n",
			len(objects.Teams), len(objects.Users), len(objects.Apps), len(objects.Tasks), len(objects.Limits))
		return s.warnOfLimits(st, objects.Limits...)
	})
}
