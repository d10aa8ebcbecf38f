#!lua flags=no-writes
-- Reads, at one moment, what of the epoch is not in its counters for good, and whose records are.
-- KEYS: epoch, state of the epoch, books, live and expired reservations, marks. ARGV: epoch
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return redis.error_reply('EPOCH not in force') end
local t = redis.call('TIME')
return {
  t[1] * 1000000 + t[2], redis.call('HGET', KEYS[2], 'open') and 1 or 0, redis.call('HKEYS', KEYS[3]),
  redis.call('ZRANGE', KEYS[4], 0, -1), redis.call('ZRANGE', KEYS[5], 0, -1), redis.call('HGETALL', KEYS[6]),
}
