-- flags:
-- Renews the lease of a book, tells how the ledger stands, and opens a rebuilt epoch.
-- KEYS: epoch, books, state of the epoch. ARGV: epoch whose book is done or '', time, lease, rebuild time, book
local now = tonumber(ARGV[2])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end
local e = redis.call('HMGET', KEYS[3], 'id', 'since', 'replid', 'open')
if redis.call('GET', KEYS[1]) ~= e[1] then e = {false, false, false, false} end -- one of both was lost
if ARGV[1] ~= '' and ARGV[1] ~= e[1] then error({err = 'EPOCH not in force'}) end
local books, gone, all = {}, {}, redis.call('HGETALL', KEYS[2])
local mine = {0, ''}
for i = 1, #all, 2 do
  local ok, book = pcall(cmsgpack.unpack, all[i + 1])
  if not ok or type(book) ~= 'table' then foreign(KEYS[2]) end
  if all[i] == ARGV[5] then
    mine = book
  elseif book[1] > now then
    books[#books + 1] = {all[i], book[2]}
  else
    gone[#gone + 1] = all[i]
  end
end
mine[1] = now + ARGV[3]
if ARGV[1] ~= '' then mine[2] = ARGV[1] end
books[#books + 1] = {ARGV[5], mine[2]}
redis.call('HSET', KEYS[2], ARGV[5], cmsgpack.pack(mine))
if #gone > 0 then redis.call('HDEL', KEYS[2], unpack(gone)) end

local answer, done = {}, e[1] and true or false
for _, book in ipairs(books) do
  local back = book[2] == e[1]
  done = done and back
  answer[#answer + 1] = book[1]
  answer[#answer + 1] = back and 1 or 0
end
if e[1] and not e[4] and (done or now >= e[2] + ARGV[4]) then
  e[4] = '1'
  redis.call('HSET', KEYS[3], 'open', '1')
end
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
return {OK, now, e[1] or '', e[2] or '0', e[3] or '', e[4] and 1 or 0, replid or '', unpack(answer)}
