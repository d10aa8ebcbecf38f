package pgproc

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Template is how databases of one kind are made.
type Template struct {
	// Name tells templates apart, such as the name of a folder of migrations; empty for an empty database.
	Name string
	// Make fills the database at a URL, as a superuser. It is called once per server and must close its connections.
	Make func(ctx context.Context, url string) error
}

// Database is a database of one test.
type Database struct {
	// Name of the database, and URL with which the superuser reaches it.
	Name, URL string

	server *Server
	roles  int
}

// Database makes a fresh database from a template and drops it at the end of the test, whoever is still connected.
func (s *Server) Database(t testing.TB, template Template) *Database {
	t.Helper()
	from := "template1"
	if template.Name != "" {
		from = "template of " + template.Name
		if err := s.template(from, template.Make); err != nil {
			t.Fatalf("postgres: the database of %s: %v", template.Name, err)
		}
	}
	s.mu.Lock()
	s.databases++
	name := fmt.Sprintf("test_%d", s.databases)
	s.mu.Unlock()
	s.Exec(t, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(from))
	t.Cleanup(func() {
		if s.PID() == 0 {
			return // it goes with the server
		}
		if err := s.exec("postgres", "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil {
			t.Logf("dropping a test's database: %v", err)
		}
	})
	return &Database{Name: name, URL: s.url("postgres", name, ""), server: s}
}

// Create makes an empty database, which goes with the server, and gives the URL with which the superuser reaches it.
func (s *Server) Create(name string) (url string, err error) {
	return s.url("postgres", name, ""), s.exec("postgres", "CREATE DATABASE "+quote(name))
}

// template makes a template database once; who comes meanwhile waits for it.
func (s *Server) template(name string, fill func(context.Context, string) error) error {
	s.mu.Lock()
	once, known := s.templates[name]
	if !known {
		once = sync.OnceValue(func() error {
			if err := s.exec("postgres", "CREATE DATABASE "+quote(name)); err != nil {
				return err
			}
			return fill(context.Background(), s.url("postgres", name, ""))
		})
		s.templates[name] = once
	}
	s.mu.Unlock()
	return once()
}

// Role makes a role with a password that may connect and has no other right, runs grants (in which %s stands for the
// role's name, quoted) as the superuser, and gives the URL with which it connects. It goes with the test.
func (d *Database) Role(t testing.TB, grants ...string) (roleURL string) {
	t.Helper()
	d.server.mu.Lock()
	d.roles++
	name := fmt.Sprintf("%s_role_%d", d.Name, d.roles)
	d.server.mu.Unlock()
	d.Exec(t, "CREATE ROLE "+quote(name)+" LOGIN PASSWORD 'role-password'")
	t.Cleanup(func() {
		if d.server.PID() == 0 {
			return
		}
		if err := d.server.exec(d.Name, "DROP OWNED BY "+quote(name)+" CASCADE; DROP ROLE "+quote(name)); err != nil {
			t.Logf("dropping a test's role: %v", err)
		}
	})
	for _, grant := range grants {
		d.Exec(t, fmt.Sprintf(grant, quote(name)))
	}
	return d.server.url(name, d.Name, "role-password")
}

// Exec runs statements in the database as the superuser and ends the test if they fail.
func (d *Database) Exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if err := d.server.exec(d.Name, sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Exec runs statements in the database postgres as the superuser and ends the test if they fail.
func (s *Server) Exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if err := s.exec("postgres", sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (s *Server) exec(database, sql string, args ...any) error {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, s.url("postgres", database, ""))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	_, err = c.Exec(ctx, sql, args...)
	return err
}

// One reads one value in the database as the superuser.
func One[T any](t testing.TB, d *Database, sql string, args ...any) (v T) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, d.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	if err := c.QueryRow(ctx, sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// url is a connection string over the server's socket.
func (s *Server) url(role, database, password string) string {
	u := url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: url.Values{"host": {s.dir}}.Encode()}
	u.User = url.User(role)
	if password != "" {
		u.User = url.UserPassword(role, password)
	}
	return u.String()
}

// URL is a connection string for a role, a database and a password of the test's choice, right or wrong.
func (s *Server) URL(role, database, password string) string { return s.url(role, database, password) }

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// Program is the path of another of Postgres' programs, such as pg_dump.
func (s *Server) Program(name string) string { return filepath.Join(s.home.binaries, name) }
