-- Prompts that seem to belong to a task and do not: a JSON list of strings, as examples are.
ALTER TABLE tasks ADD COLUMN out_of_scope TEXT NOT NULL DEFAULT '[]';
