// Package migrations embeds the SQL that makes and upgrades Plumbline's databases: numbered files, forward only, applied
// by sqlite.Migrate and postgres.Schema. Both dialects have the same numbers. It holds no code and must not import anything of Plumbline.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed sqlite/audit/*.sql sqlite/control/*.sql postgres/audit/*.sql postgres/control/*.sql
var files embed.FS

// SQLiteAudit is the schema of the audit log, SQLiteControl that of the control data.
var (
	SQLiteAudit   = sub("sqlite/audit")
	SQLiteControl = sub("sqlite/control")
)

// PostgresControl is the schema of the control data in Postgres, whose schema is called plumbline.
var PostgresControl = sub("postgres/control")

// PostgresAudit is the schema of the audit in Postgres, called plumbline_audit.
var PostgresAudit = sub("postgres/audit")

// sub names a directory of files. fs.Sub fails for malformed names only, and a wrong one has no migrations, which
// sqlite.Migrate refuses.
func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		return files
	}
	return f
}
