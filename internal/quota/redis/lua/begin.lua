#!lua
-- Begins an epoch if the one in force is still the one that is named.
-- KEYS: epoch, books, then of the old epoch: live and expired reservations
-- ARGV: old or '', time, new, lease, then books to wait for
local now = tonumber(ARGV[2])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
local id = call('HGET', KEYS[1], 'id') or ''
if id == ARGV[1] then
  local replid = string.match(call('INFO', 'replication'), 'master_replid:(%x+)') or ''
  call('HSET', KEYS[1], 'id', ARGV[3], 'since', string.format('%.0f', now), 'replid', replid)
  call('HDEL', KEYS[1], 'open')
  for i = 5, #ARGV do call('HSETNX', KEYS[2], ARGV[i], pack({now + ARGV[4], ''})) end
  for i = 3, #KEYS do call('PEXPIRE', KEYS[i], KEEP) end
end
local e = call('HMGET', KEYS[1], 'id', 'since', 'replid', 'open')
return {OK, now, e[1], e[2], e[3], e[4] and 1 or 0}
