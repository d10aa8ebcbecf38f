#!lua flags=allow-oom
-- Adds to what is posted, and moves the mark of a book: both or neither.
-- KEYS: epoch, marks, counters…
-- ARGV: epoch, time, book, from, to, {window, end, bucket, amount of each}
local now = enter()
if (call('HGET', KEYS[2], ARGV[3]) or '0') ~= ARGV[4] then return {WRONG_TIME, now} end
local p, counters = unpackall(ARGV[6]), load(3)
call('HSET', KEYS[2], ARGV[3], ARGV[5])
call('PEXPIRE', KEYS[2], KEEP)
local newest = {} -- a key may come more than once
for i = 1, #counters do
  local key, l = KEYS[2 + i], i * 4 - 3
  local window, ends, b, amount = p[l], p[l + 1], p[l + 2], p[l + 3]
  local c = newest[key] or counters[i]
  if window == MINUTE then
    if bucket(now) - b < BUCKETS and b <= bucket(now) then
      c = c or {now % 65536, b}
      if reaches(c, b) then
        make(c, b)
        add(window, c, b, c[1], amount, 0)
      end
    end
  elseif window == CALENDAR and (c or ends > now) then
    c = c or {0, 0}
    add(window, c, 0, 0, amount, 0)
  end
  if c then
    newest[key] = c
    store(key, window, c, ends, now, true)
  end
end
return {OK, now}
