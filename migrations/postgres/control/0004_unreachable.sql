-- What a limit does while its ledger cannot be reached: closed, local, open; empty for the default of its dimension.

ALTER TABLE plumbline.limits ADD COLUMN unreachable text NOT NULL DEFAULT '';
