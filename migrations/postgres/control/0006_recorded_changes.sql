-- Which audit has a change: of all that share the control data one takes it, and says so when it has it. What was changed
-- before is taken too; an audit that has it already takes it once.

ALTER TABLE plumbline.changes ADD COLUMN writer text COLLATE "C" NOT NULL DEFAULT ''; -- the name of the audit that takes it; '' for none yet
ALTER TABLE plumbline.changes ADD COLUMN claimed bigint NOT NULL DEFAULT 0; -- microseconds since 1970 UTC, by this server's clock
ALTER TABLE plumbline.changes ADD COLUMN recorded boolean NOT NULL DEFAULT false;

CREATE INDEX changes_owed ON plumbline.changes (version) WHERE NOT recorded;
