-- Tokens that are revoked by their session, and what is kept of the tokens that were issued: whom they are for.

ALTER TABLE plumbline.revocations ADD COLUMN session text NOT NULL DEFAULT '';

CREATE TABLE plumbline.issued_tokens (
  id      text COLLATE "C" PRIMARY KEY, -- the token's jti
  "user"  text COLLATE "C" NOT NULL,    -- may be deleted while its tokens are listed, as may the app
  app     text COLLATE "C" NOT NULL,
  session text NOT NULL,
  created bigint NOT NULL,
  expires bigint NOT NULL
);

CREATE INDEX issued_tokens_expires ON plumbline.issued_tokens (expires);
