package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/config"
)

func TestRetention(t *testing.T) {
	const postgres = "PLUMBLINE_POSTGRES_URL=postgres://h/d"
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"too short":             {[]string{"PLUMBLINE_AUDIT_RETENTION_RECORDS=34d"}, "PLUMBLINE_AUDIT_RETENTION_RECORDS: must be at least 35d"},
		"too short in Postgres": {[]string{postgres, "PLUMBLINE_AUDIT_RETENTION_ADMIN=34d"}, "PLUMBLINE_AUDIT_RETENTION_ADMIN: must be at least 35d"},
		"no unit":               {[]string{postgres, "PLUMBLINE_AUDIT_RETENTION_ROLLUPS=400"}, "must be a number of days, like 400d"},
		"below zero":            {[]string{postgres, "PLUMBLINE_AUDIT_RETENTION_ROLLUPS=-40d"}, "must be a number of days, like 400d"},
		"a user for nothing": {
			[]string{postgres, "PLUMBLINE_POSTGRES_RETENTION_URL=postgres://h/d"}, "is set, but without audit.retention nothing would use it",
		},
		"a user without Postgres": {
			[]string{"PLUMBLINE_AUDIT_RETENTION_ADMIN=35d", "PLUMBLINE_POSTGRES_RETENTION_URL=postgres://h/d"}, "is set, but without postgres.url nothing would use it",
		},
		"no URL": {
			[]string{postgres, "PLUMBLINE_AUDIT_RETENTION_ADMIN=35d", "PLUMBLINE_POSTGRES_RETENTION_URL=sk-123"},
			"PLUMBLINE_POSTGRES_RETENTION_URL: must be a connection string",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := config.Load(config.LoadOptions{Env: c.env})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "sk-123") {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if _, _, err := config.Load(config.LoadOptions{Env: []string{"PLUMBLINE_AUDIT_RETENTION_RECORDS=35d"}}); err != nil {
		t.Errorf("without Postgres: %v", err)
	}
	got, _, err := config.Load(config.LoadOptions{Env: []string{postgres, "PLUMBLINE_AUDIT_RETENTION_RECORDS=400d", "PLUMBLINE_AUDIT_RETENTION_ADMIN=0"}})
	if err != nil || got.Audit.Retention.Records.Duration() != 400*24*time.Hour || got.Audit.Retention.Admin != 0 || got.Audit.Retention.IsZero() {
		t.Errorf("%+v, %v", got.Audit.Retention, err)
	}
}
