-- Prompts that seem to belong to a task and do not: a JSON list of strings, as examples are.
ALTER TABLE plumbline.tasks ADD COLUMN out_of_scope text NOT NULL DEFAULT '[]';
