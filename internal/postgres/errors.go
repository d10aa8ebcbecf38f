package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Codes of the server's errors. Source: appendix A of Postgres' manual.
const (
	codeReadOnly  = "25006"
	codeUnique    = "23505"
	codeForbidden = "42501"
)

// remedies say what happened and what to do, by the code of the server's error.
var remedies = map[string]string{
	"28P01":       "the server refuses the password: check the user and the password in postgres.url",
	"28000":       "the server does not let this user in: check the user in postgres.url and the server's pg_hba.conf",
	"3D000":       "the database does not exist: create it, or name another in postgres.url",
	codeForbidden: "the user of postgres.url lacks a right: grant it as docs/how-to/postgres.md shows, or connect as the owner",
	codeReadOnly:  "the server is a read-only standby: point postgres.url at the primary, or name all hosts and target_session_attrs=read-write in it",
	"53300":       "the server has no connection left: raise its max_connections, lower postgres.max_connections, or put a pooler between",
	"53100":       "the server's disk is full: make room on it",
	"57P01":       "the server is being shut down: it is tried again",
	"57P02":       "the server crashed and recovers: it is tried again",
	"57P03":       "the server is starting or stopping: it is tried again",
	"57014":       "the server gave a statement up: look at what it waits for, or raise postgres.timeout",
	"55P03":       "another transaction holds a lock for too long: look for it in pg_stat_activity, or raise postgres.timeout",
	"42P01":       "a table is missing: run `plumbline migrate`",
	"3F000":       "the schema is missing: run `plumbline migrate`",
	"22021":       "a text cannot be stored, as it is not UTF-8 or holds a NUL",
}

// Explain puts before an error of the driver what happened and what to do. Errors of others, and of a context that
// ended, it leaves as they are. No words of it hold a password: the driver's name host, user and database alone.
func Explain(err error) error {
	var server *pgconn.PgError
	var connecting *pgconn.ConnectError
	switch {
	case err == nil, isOver(err):
		return err
	case errors.As(err, &server):
		if words, known := remedies[server.Code]; known {
			return fmt.Errorf("postgres: %s: %w", words, err)
		}
		if strings.Contains(server.Message, "no more connections") { // PgBouncer's, under a code of its own
			return fmt.Errorf("postgres: %s: %w", remedies["53300"], err)
		}
		return fmt.Errorf("postgres: %w", err)
	case errors.As(err, &connecting):
		if strings.Contains(err.Error(), "read-only") || strings.Contains(err.Error(), "read only") {
			return fmt.Errorf("postgres: %s: %w", remedies[codeReadOnly], err)
		}
		return fmt.Errorf("postgres: cannot connect: check that the server runs and that postgres.url names it: %w", err)
	case isNetwork(err):
		return fmt.Errorf("postgres: the connection broke: check that the server runs: %w", err)
	default:
		return err
	}
}

// Words say what happened and what to do, in words of our own alone: an error of the server or the driver may quote what it
// was sent. Empty for an error that is neither.
func Words(err error) string {
	var server *pgconn.PgError
	var connecting *pgconn.ConnectError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &server):
		if words, known := remedies[server.Code]; known {
			return words
		}
		return "Postgres refuses a statement (SQLSTATE " + server.Code + ")"
	case errors.As(err, &connecting):
		return "Postgres cannot be reached: check that the server runs and that postgres.url names it"
	case isNetwork(err):
		return "the connection to Postgres broke: check that the server runs"
	}
	return ""
}

// isOver reports whether the caller's own context ended, which is no fault of the server. A connection that timed out
// by itself is.
func isOver(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && !isConnecting(err)
}

func isConnecting(err error) bool {
	var connecting *pgconn.ConnectError
	return errors.As(err, &connecting)
}

func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network) || strings.Contains(err.Error(), "unexpected EOF") || strings.Contains(err.Error(), "conn closed")
}

// IsUnique reports whether err says that a row with the same key exists. The transaction is over.
func IsUnique(err error) bool { return hasCode(err, codeUnique) }

// IsForbidden reports whether err says that the user lacks a right.
func IsForbidden(err error) bool { return hasCode(err, codeForbidden) }

func hasCode(err error, code string) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && server.Code == code
}
