-- flags: 'no-writes'
-- Reads, at one moment, what of the epoch is not in its counters for good, and whose records are.
-- KEYS: epoch, state of the epoch, books, live and expired reservations, marks. ARGV: epoch, time
local now = enter(ARGV, redis.call('GET', KEYS[1]))
return {
  OK, now, redis.call('HGET', KEYS[2], 'open') and 1 or 0, redis.call('HKEYS', KEYS[3]),
  redis.call('ZRANGE', KEYS[4], 0, -1), redis.call('ZRANGE', KEYS[5], 0, -1), redis.call('HGETALL', KEYS[6]),
}
