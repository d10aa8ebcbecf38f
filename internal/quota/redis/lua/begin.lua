-- flags:
-- Begins an epoch if the one in force is still the one that is named.
-- KEYS: epoch, books, state of the epoch, then of the old one: live and expired reservations
-- ARGV: old or '', time, new, lease, then books to wait for
local now = tonumber(ARGV[2])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end
local id = redis.call('GET', KEYS[1]) or ''
if redis.call('HGET', KEYS[3], 'id') ~= id then id = '' end -- one of both was lost
if id == ARGV[1] then
  local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
  redis.call('HSET', KEYS[3], 'id', ARGV[3], 'since', whole(now), 'replid', replid)
  redis.call('HDEL', KEYS[3], 'open')
  redis.call('SET', KEYS[1], ARGV[3])
  for i = 5, #ARGV do redis.call('HSETNX', KEYS[2], ARGV[i], cmsgpack.pack({now + ARGV[4], ''})) end
  for i = 4, #KEYS do redis.call('PEXPIRE', KEYS[i], KEEP) end
end
local e = redis.call('HMGET', KEYS[3], 'id', 'since', 'replid', 'open')
return {OK, now, e[1], e[2], e[3], e[4] and 1 or 0}
