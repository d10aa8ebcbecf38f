#!lua flags=no-writes
-- Reads the mark of a book. KEYS: epoch, marks. ARGV: epoch, time, book
local now = enter(call('GET', KEYS[1]))
return {OK, now, call('HGET', KEYS[2], ARGV[3]) or ''}
