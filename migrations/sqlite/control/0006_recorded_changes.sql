-- Which audit has a change: of all that share the control data one takes it, and says so when it has it. What was changed
-- before is taken too; an audit that has it already takes it once.

ALTER TABLE changes ADD COLUMN writer TEXT NOT NULL DEFAULT ''; -- the name of the audit that takes it; '' for none yet
ALTER TABLE changes ADD COLUMN claimed INTEGER NOT NULL DEFAULT 0; -- microseconds since 1970 UTC
ALTER TABLE changes ADD COLUMN recorded INTEGER NOT NULL DEFAULT 0;

CREATE INDEX changes_owed ON changes (version) WHERE recorded = 0;
