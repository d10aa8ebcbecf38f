-- The policy documents that came into force, the last few of them. The one with the highest number is in force, unless the
-- configuration names a file.
CREATE TABLE policies (
  number   INTEGER PRIMARY KEY,
  version  TEXT NOT NULL,    -- what records call it
  text     TEXT NOT NULL,
  author   TEXT NOT NULL,
  reason   TEXT NOT NULL,
  created  INTEGER NOT NULL, -- microseconds since 1970 UTC
  restores INTEGER NOT NULL  -- the number of the one that it brings back, 0 for none
) STRICT;
