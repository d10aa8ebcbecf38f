#!lua flags=allow-oom
-- Adds to what is posted, and moves the mark of a book: both or neither.
-- KEYS: epoch, marks, accounts…
-- ARGV: epoch, time, book, from, to, {account, end, name, bucket, amount of each}
local now = enter(call('GET', KEYS[1]))
if (call('HGET', KEYS[2], ARGV[3]) or '0') ~= ARGV[4] then return {WRONG_TIME, now} end
local raw = #KEYS > 2 and call('MGET', unpack(KEYS, 3)) or {}
absent(raw, 1, 3)
local p, accounts, rings, till = numbers(ARGV[6], 1, #ARGV[6] / 8), {}, {}, {}
for j = 1, #KEYS - 2 do accounts[j], rings[j] = account(KEYS[2 + j], raw[j]) end
for l = 1, #ARGV[6] / 8, 5 do
  local j, ends, name, b, amount = p[l], p[l + 1], p[l + 2], p[l + 3], p[l + 4]
  local a, r, pin, counts = accounts[j], rings[j], 0, ends > now
  local i = find(a, 3, name, ends)
  if ends == 1 then
    counts = bucket(now) - b < BUCKETS and b <= bucket(now)
    if counts and not i then i = minute(a, name, b, now % 65536 + 1) end
    if i then pin = b * GENERATIONS + floor(a[i + 2] / 16) end
  elseif counts and not i then
    i = insert(a, name, ends, 0)
  end
  if i and (counts or ends > 1) then
    add(a, i, r, pin, amount, 0)
    till[j] = math.max(till[j] or 0, needed(ends, now))
  end
end
call('HSET', KEYS[2], ARGV[3], ARGV[5])
call('PEXPIRE', KEYS[2], KEEP)
for j = 1, #KEYS - 2 do
  if till[j] then save(KEYS[2 + j], accounts[j], rings[j], now, till[j], true) end
end
return {OK, now}
