-- flags: 'no-writes'
-- Reads the mark of a book. KEYS: epoch, marks. ARGV: epoch, time, book
local now = enter(ARGV, redis.call('GET', KEYS[1]))
return {OK, now, redis.call('HGET', KEYS[2], ARGV[3]) or ''}
