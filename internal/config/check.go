package config

import (
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	// maxSocketPath is the shortest limit among the systems that Plumbline runs on (sun_path of macOS and the BSDs).
	maxSocketPath = 104
	// minMessageTimeout leaves 200ms for a verdict after the 300ms that are kept for the way back.
	minMessageTimeout = 500 * time.Millisecond
	// maxLeeway is the most that a verifier may forgive of a token's times.
	maxLeeway = 30 * time.Second
	// maxMessage is what gRPC can receive in one message, less room for its frame.
	maxMessage Bytes = 1 << 30
	// maxSecret is the longest credential, in bytes.
	maxSecret = 8 << 10
	// minJournal holds some dozens of records.
	minJournal = 64 << 10
	// minSpool holds some ten thousand records.
	minSpool Bytes = 64 << 20
)

// minTraffic tells a task from what else is asked; maxTraffic bounds memory and the time of training.
const (
	minTraffic, maxTraffic = 500, 10_000
	minTrainEvery          = time.Hour
)

// Bounds of the job that adapts the embedding table: of how often, and of what it learns from.
const (
	minTuneEvery               = 24 * time.Hour
	minTunePrompts, maxPrompts = 500, 10_000
)

func (t Tune) check(a Audit, problem func(setting, message string)) {
	if t.Share > 0 && a.CalibrationSample == 0 {
		problem("deviation.tune.share", "is set, but without audit.calibration_sample nothing is drawn")
	}
	switch {
	case t.Every < 0 || t.Every > 0 && t.Every < minTuneEvery:
		problem("deviation.tune.every", "must be 0s or at least 24h")
	case t.Every > 0 && t.Teacher == "":
		problem("deviation.tune.teacher", "must be set with deviation.tune.every: somebody has to teach")
	case t.Every > 0 && t.Share == 0:
		problem("deviation.tune.share", "must be set with deviation.tune.every: there is nothing to learn from otherwise")
	}
	if t.Prompts < minTunePrompts || t.Prompts > maxPrompts {
		problem("deviation.tune.prompts", "must be from 500 to 10000")
	}
}

// check reports what is wrong with the settings, each at the name of the setting.
func (c *Config) check(problem func(setting, message string)) {
	if c.DataDir == "" {
		problem("data_dir", "must name a directory")
	}
	if p := c.Prices; p.UnknownInput < 0 || p.UnknownOutput < 0 {
		problem("prices.unknown_input", "prices must not be negative")
	} else if (p.UnknownInput == 0) != (p.UnknownOutput == 0) {
		problem("prices.unknown_input", "set prices.unknown_input and prices.unknown_output, or neither: nothing is free")
	}
	c.ExtProc.check(problem)
	if !isAddress(c.Ops.Listen) {
		problem("ops.listen", "must be host:port")
	} else if c.Ops.Listen == c.ExtProc.Listen {
		problem("ops.listen", "must not be the address of extproc.listen")
	}
	c.Identity.check(problem)
	c.Provider.check(problem)
	if c.Audit.JournalSize < minJournal || c.Audit.JournalSize > maxMessage {
		problem("audit.journal_size", "must be at least 64KiB and at most 1GiB")
	}
	if c.Audit.SpoolSize < minSpool {
		problem("audit.spool_size", "must be at least 64MiB")
	}
	c.Audit.checkContent(problem)
	if c.Audit.Durability == DurabilityReplicated && c.Postgres.URL.IsZero() {
		problem("audit.durability", "replicated waits for Postgres: set postgres.url")
	}
	if c.Audit.TakeOver != "" && c.Postgres.URL.IsZero() {
		problem("audit.take_over", "ships to Postgres: set postgres.url")
	}
	c.Audit.Retention.check(c.Postgres, problem)
	c.Redis.check(c.Quota.Ledger, problem)
	c.Postgres.check(problem)
	if m := c.Feed.MaxStaleness; m < minStaleness || m > maxStaleness {
		problem("feed.max_staleness", "must be from 2s to 1h")
	}
	if n := c.Deviation.Traffic; n != 0 && (n < minTraffic || n > maxTraffic) {
		problem("deviation.traffic", "must be 0 or from 500 to 10000")
	}
	if c.Deviation.TrainEvery < minTrainEvery {
		problem("deviation.train_every", "must be at least 1h")
	}
	c.Deviation.Tune.check(c.Audit, problem)
	c.Calibration.Judge.check(c.Audit, problem)
	if c.Shutdown.Grace <= 0 {
		problem("shutdown.grace", "must be positive")
	}
}

// minContent holds a short prompt. maxContent, in its longest form, and one sample of it fit into a record.
const (
	minContent Bytes = 1 << 10
	maxContent Bytes = 128 << 10
	// journalOfContent is how many times what one record may hold of a text the journal is at least.
	journalOfContent = 64
)

// minKeep and maxKeep bound for how long prompts are kept for calibration.
const (
	minKeep = 24 * time.Hour
	maxKeep = 90 * 24 * time.Hour
)

func (a Audit) checkContent(problem func(setting, message string)) {
	keeps := a.Content != ContentNone || a.CalibrationSample > 0
	switch {
	case a.MasterKeyFile != "":
	case a.Content != ContentNone:
		problem("audit.content", "needs audit.master_key_file: content is kept sealed, and hashes are keyed")
	case a.CalibrationSample > 0:
		problem("audit.calibration_sample", "needs audit.master_key_file: prompts are kept sealed")
	}
	switch {
	case a.ContentLimit < minContent || a.ContentLimit > maxContent:
		problem("audit.content_limit", "must be from 1KiB to 128KiB")
	case keeps && a.JournalSize < journalOfContent*a.ContentLimit:
		problem("audit.journal_size", "must be at least "+strconv.Itoa(journalOfContent)+" times audit.content_limit")
	}
	if a.CalibrationKeep < minKeep || a.CalibrationKeep > maxKeep {
		problem("audit.calibration_keep", "must be from 24h to 2160h")
	}
}

func (e ExtProc) check(problem func(setting, message string)) {
	switch {
	case e.Socket != "" && e.Listen != "":
		problem("extproc.listen", "set extproc.socket or extproc.listen, not both")
	case len(e.Socket) > maxSocketPath:
		problem("extproc.socket", "a socket's path has at most "+strconv.Itoa(maxSocketPath)+" bytes, this one has "+
			strconv.Itoa(len(e.Socket))+"; set extproc.socket or a shorter data_dir")
	case e.Listen != "" && !isAddress(e.Listen):
		problem("extproc.listen", "must be host:port")
	case e.Listen != "" && !e.InsecureTCP:
		problem("extproc.listen", "TCP without mTLS needs extproc.insecure_tcp")
	case e.Listen != "" && !isLoopback(e.Listen):
		problem("extproc.listen", "TCP without mTLS is for loopback addresses only")
	}
	if m := e.SocketMode; m&0o007 != 0 || m&0o600 != 0o600 {
		problem("extproc.socket_mode", "must be 0600 for the owner at least, and nothing for others")
	}
	if e.MessageTimeout < minMessageTimeout {
		problem("extproc.message_timeout", "must be at least "+minMessageTimeout.String())
	}
	if e.MaxBody < 1 || e.MaxBody > maxMessage {
		problem("extproc.max_body", "must be positive and at most 1GiB")
	}
	if e.MaxBodyInFlight < e.MaxBody {
		problem("extproc.max_body_in_flight", "must not be below extproc.max_body")
	}
	if e.CutGrace < 0 {
		problem("extproc.cut_grace", "must not be negative")
	}
	if e.CutGraceBytes < 0 {
		problem("extproc.cut_grace_bytes", "must not be negative")
	}
}

// minRetention covers the longest window of a limit, since limits are counted anew from the records.
const minRetention Days = 35

func (r Retention) check(p Postgres, problem func(setting, message string)) {
	for _, kept := range []struct {
		setting string
		days    Days
	}{{"audit.retention.records", r.Records}, {"audit.retention.admin", r.Admin}, {"audit.retention.rollups", r.Rollups}} {
		if kept.days != 0 && kept.days < minRetention {
			problem(kept.setting, "must be at least 35d, or 0 for ever: limits are counted anew from the records of 33 days")
		}
	}
	switch {
	case p.RetentionURL.IsZero():
	case r.IsZero():
		problem("postgres.retention_url", "is set, but without audit.retention nothing would use it")
	case p.URL.IsZero():
		problem("postgres.retention_url", "is set, but without postgres.url nothing would use it")
	}
}

// minDeadline and maxDeadline bound what a request waits for Redis: a network's round trip, and what Envoy's filter waits.
const (
	minDeadline = time.Millisecond
	maxDeadline = time.Second
)

func (r Redis) check(ledger LedgerKind, problem func(setting, message string)) {
	if ledger != LedgerRedis {
		if len(r.Addresses) > 0 {
			problem("redis.addresses", "is set, but without quota.ledger: redis nothing would use it")
		}
		return
	}
	switch {
	case len(r.Addresses) == 0:
		problem("redis.addresses", "must name a server, since quota.ledger is redis")
	case len(r.Addresses) > 1 && !r.Cluster:
		problem("redis.addresses", "several addresses need redis.cluster")
	}
	for _, a := range r.Addresses {
		if !isAddress(a) && (!strings.HasPrefix(a, "/") || r.Cluster || r.TLS) {
			problem("redis.addresses", "must be host:port, or the path of one Unix socket without TLS")
		}
	}
	if r.Username != "" && r.Password.IsZero() {
		problem("redis.username", "needs redis.password")
	}
	if r.CAFile != "" && !r.TLS {
		problem("redis.ca_file", "needs redis.tls")
	}
	if r.Namespace == "" || strings.ContainsFunc(r.Namespace, func(c rune) bool { return c <= ' ' || c > '~' || c == '{' || c == '}' }) {
		problem("redis.namespace", "must be printable ASCII without spaces and braces")
	}
	if r.Deadline < minDeadline || r.Deadline > maxDeadline {
		problem("redis.deadline", "must be from 1ms to 1s")
	}
}

// minStaleness leaves room for some looks that fail; beyond maxStaleness a block would not be one.
const (
	minStaleness = 2 * time.Second
	maxStaleness = time.Hour
)

// Bounds of what one process takes of a Postgres server, and of what a command waits.
const (
	maxConnections     = 100
	minPostgresTimeout = 100 * time.Millisecond
	maxPostgresTimeout = 5 * time.Minute
)

// check leaves reading the connection string to whoever connects; what is no such string at all is told here.
func (p Postgres) check(problem func(setting, message string)) {
	checkURL("postgres.url", p.URL.Reveal(), problem)
	checkURL("postgres.retention_url", p.RetentionURL.Reveal(), problem)
	if p.MaxConnections < 1 || p.MaxConnections > maxConnections {
		problem("postgres.max_connections", "must be from 1 to "+strconv.Itoa(maxConnections))
	}
	if p.Timeout < minPostgresTimeout || p.Timeout > maxPostgresTimeout {
		problem("postgres.timeout", "must be from 100ms to 5m")
	}
}

func checkURL(setting, url string, problem func(setting, message string)) {
	isURL := strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
	switch {
	case url == "":
	case len(url) > maxSecret || strings.ContainsFunc(url, func(r rune) bool { return r < ' ' || r == 0x7f }):
		problem(setting, "must be one line")
	case !isURL && !strings.Contains(url, "="):
		problem(setting, "must be a connection string, such as postgres://plumbline:password@db.internal/plumbline")
	}
}

func (i Identity) check(problem func(setting, message string)) {
	if i.Issuer == "" {
		problem("identity.issuer", "must not be empty")
	}
	if i.Audience == "" {
		problem("identity.audience", "must not be empty")
	}
	if i.MaxLifetime <= 0 {
		problem("identity.max_lifetime", "must be positive")
	}
	if i.Leeway < 0 || i.Leeway > maxLeeway {
		problem("identity.leeway", "must be from 0 to "+maxLeeway.String())
	}
	i.checkIssuers(problem)
	switch key := i.Mesh.DummyKey; {
	case key == "":
	case len(i.Mesh.IDs) == 0:
		problem("identity.mesh.dummy_key", "is set, but without identity.mesh.ids nobody could call with it")
	case strings.HasPrefix(key, "pl_") || strings.HasPrefix(key, "sk-") || strings.Contains(key, "."):
		problem("identity.mesh.dummy_key", "must not look like a key or a token: it may neither begin with pl_ or sk- nor hold a dot")
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' || r == ',' }):
		problem("identity.mesh.dummy_key", "must be printable ASCII without spaces and commas, as it goes into a header")
	}
}

func (p Provider) check(problem func(setting, message string)) {
	key := p.Key.Reveal()
	switch {
	case p.InjectKey && key == "":
		problem("provider.inject_key", "needs provider.key")
	case !p.InjectKey && key != "":
		problem("provider.key", "is set, but without provider.inject_key nothing would use it")
	case len(key) > maxSecret || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		problem("provider.key", "must be printable ASCII without spaces, as it goes into a header")
	}
}

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}
