-- Tokens that are revoked by their session, and what is kept of the tokens that were issued: whom they are for.

ALTER TABLE revocations ADD COLUMN session TEXT NOT NULL DEFAULT '';

CREATE TABLE issued_tokens (
  id      TEXT PRIMARY KEY, -- the token's jti
  user    TEXT NOT NULL,    -- may be deleted while its tokens are listed, as may the app
  app     TEXT NOT NULL,
  session TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX issued_tokens_expires ON issued_tokens (expires);
