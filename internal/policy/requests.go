package policy

// Requests says what requests may ask for beyond text.
type Requests struct {
	RemoteURLs   bool          `json:"remote_urls" doc:"Images and files may be given as addresses that the provider fetches. What is behind them is not judged, and they carry text past it."`
	Inline       []Inline      `json:"inline" doc:"What may stand in a request as base64 and cannot be judged: image, audio, file."`
	FileIDs      bool          `json:"file_ids" doc:"Input may name files that the caller left with the provider. What they hold is not judged. See file_purposes."`
	HostedTools  []HostedTool  `json:"hosted_tools" doc:"Tools that the provider may run by itself: web_search, code_interpreter, mcp, file_search. file_search reads the caller's own vector stores, whose text is not judged. Their fees are not charged. Functions and custom tools need no entry."`
	FilePurposes []FilePurpose `json:"file_purposes" doc:"Purposes for which files may be left with the provider: assistants, fine-tune, user_data, vision. What they hold is not judged. Files for batches are never taken."`
	MaxToolCalls int           `json:"max_tool_calls" doc:"How often the provider may run them for one request. A request that brings such a tool must give a max_tool_calls up to this."`
	ServiceTiers []ServiceTier `json:"service_tiers" doc:"Tiers that may be asked for: auto, default, flex, priority. priority needs a model with a price for it."`
	MaxChoices   int           `json:"max_choices" doc:"The most answers, candidates or pictures of one request (n, best_of), from 1 to 128."`
	MaxEffort    Effort        `json:"max_effort" doc:"The most reasoning that may be asked for."`

	Teams map[string]RequestChange `json:"teams,omitzero" doc:"By team: any of these fields, in place of the one above."`
	Apps  map[string]RequestChange `json:"apps,omitzero" doc:"By app: any of these fields; the stricter holds, whoever calls."`
}

// Inline is a kind of data that a request can hold.
type Inline string

// The kinds.
const (
	InlineImage Inline = "image"
	InlineAudio Inline = "audio"
	InlineFile  Inline = "file"
)

// Values lists the kinds.
func (Inline) Values() []string {
	return []string{string(InlineImage), string(InlineAudio), string(InlineFile)}
}

// FilePurpose is what a file is left with the provider for, by the provider's names.
type FilePurpose string

// Values lists the purposes. Files for batches and evals hold prompts, which would pass unread and uncharged.
func (FilePurpose) Values() []string {
	return []string{"assistants", "fine-tune", "user_data", "vision"}
}

// HostedTool is a tool that the provider runs.
type HostedTool string

// Values lists the tools.
func (HostedTool) Values() []string {
	return []string{"web_search", "code_interpreter", "mcp", "file_search"}
}

// ServiceTier is a tier by the provider's name.
type ServiceTier string

// Values lists the tiers.
func (ServiceTier) Values() []string { return []string{"auto", "default", "flex", "priority"} }

// Effort is how much a model reasons, by the provider's names.
type Effort string

// Values lists the efforts, from the least on.
func (Effort) Values() []string {
	return []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}
}

// maxChoices is what the provider takes at most.
const maxChoices = 128

// defaultRequests allow what can be priced and what most requests bring, and nothing that the provider fetches or runs.
func defaultRequests() Requests {
	return Requests{
		Inline:       []Inline{InlineImage, InlineAudio},
		HostedTools:  []HostedTool{},
		FilePurposes: []FilePurpose{},
		MaxToolCalls: 8,
		ServiceTiers: []ServiceTier{"auto", "default", "flex"},
		MaxChoices:   10,
		MaxEffort:    "high",
	}
}
