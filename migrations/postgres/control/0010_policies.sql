-- The policy documents that came into force, the last few of them. The one with the highest number is in force, unless the
-- configuration names a file.
CREATE TABLE plumbline.policies (
  number   bigint PRIMARY KEY,
  version  text COLLATE "C" NOT NULL, -- what records call it
  text     text COLLATE "C" NOT NULL,
  author   text COLLATE "C" NOT NULL,
  reason   text COLLATE "C" NOT NULL,
  created  bigint NOT NULL,           -- microseconds since 1970 UTC
  restores bigint NOT NULL            -- the number of the one that it brings back, 0 for none
);
