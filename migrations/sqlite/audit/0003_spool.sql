-- The log as a spool of another store. shipped: that store has every entry up to this one. released: of the entries up to
-- this one, only those are left here that are still needed. writers.released: of a writer's numbers up to this one, some
-- may be gone for that reason.
INSERT INTO state VALUES ('shipped', 0), ('released', 0);
ALTER TABLE writers ADD COLUMN released INTEGER NOT NULL DEFAULT 0;
