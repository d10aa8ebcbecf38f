-- flags: 'allow-oom'
-- Adds to what is posted, and moves the mark of a book: both or neither.
-- KEYS: epoch, marks, accounts…
-- ARGV: epoch, time, book, from, to, {until when each account is needed}, {account, end, name, bucket, amount of each}
local now = enter(ARGV, redis.call('GET', KEYS[1]))
if (redis.call('HGET', KEYS[2], ARGV[3]) or '0') ~= ARGV[4] then return {WRONG_TIME, now} end
local k, size = #KEYS - 2, #ARGV[7] / 8
local raw = k > 0 and redis.call('MGET', unpack(KEYS, 3)) or {}
absent(KEYS, raw, 1, 3)
local till, p, accounts, rings, changed = numbers(ARGV[6], 1, k), numbers(ARGV[7], 1, size), {}, {}, {}
for j = 1, k do accounts[j], rings[j] = account(KEYS[2 + j], raw[j]) end
for l = 1, size, 5 do
  local j, ends, name, b, amount = p[l], p[l + 1], p[l + 2], p[l + 3], p[l + 4]
  local a, pin, counts = accounts[j], nil, ends > now
  local i = find(a, name, ends)
  if ends == MINUTE then
    counts = bucket(now) - b < BUCKETS and b <= bucket(now)
    if counts and not i then i = insert(a, name, b, 16 * generation(now)) end
    if i then pin = b * GENERATIONS + generation_of(a, i) end
  elseif counts and not i then
    i = insert(a, name, ends, 0)
  end
  if i and (counts or ends > MINUTE) then changed[j] = add(a, i, rings[j], pin, amount, 0) or changed[j] end
end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[5])
redis.call('PEXPIRE', KEYS[2], KEEP)
for j = 1, k do
  if changed[j] then save(KEYS[2 + j], value(accounts[j], rings[j], now, till[j], true)) end
end
return {OK, now}
