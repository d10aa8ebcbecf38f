package cli

type evalCmd struct {
	Attack evalAttackCmd `cmd:"" help:"How well secrets and attacks are found: false alarms on ordinary prompts, and attacks by source."`
}
