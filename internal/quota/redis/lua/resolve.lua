#!lua flags=allow-oom
-- Ends a reservation: posts what was used, releases what was held. What Expire booked, the first other end replaces.
-- KEYS: epoch, reservation, live reservations, expired reservations, counters…
-- ARGV: epoch, time, by, {used × 4}, ms to remember the result, id; to expire: '', …, member of the live, due before
local now, raw, head, lines, rest = open()
local expire = ARGV[4] == ''
if not head then
  if expire then call('ZREM', KEYS[3], ARGV[7]) end
  return {UNKNOWN, now}
end
local function result(status)
  return {status, now, head[BY], head[OVER], head[USED], head[USED + 1], head[USED + 2], head[USED + 3]}
end
if head[1] == FINAL or (expire and head[1] == EXPIRED) then
  if expire then call('ZREM', KEYS[3], ARGV[7]) end
  return result(expire and head[BY] == ARGV[3] and OK or REPEATED)
end
if #lines ~= 4 * (#KEYS - 4) then
  local _, names = cmsgpack.unpack_limit(raw, 1, rest)
  return {WRONG_KEYS, now, names, lines}
end
local member = head[BOOK] .. '/' .. ARGV[6]
if expire then
  local ends = call('ZSCORE', KEYS[3], member)
  if not ends or tonumber(ends) >= min(now, tonumber(ARGV[8])) then return {EARLY, now} end
end

local counters, live = load(5), head[1] == LIVE
local held = amounts(head, HELD, 1)
local before = amounts(head, USED, 0) -- what Expire booked, if it did
local over = 0
if not expire then
  local u = unpackall(ARGV[4])
  for i = 0, 3 do head[USED + i] = u[1 + i] end
end
local after = amounts(head, USED, 0)
for i = 0, 3 do
  if head[USED + i] > head[HELD + i] then over = 1 end
end

if expire then
  call('ZADD', KEYS[4], whole(now), member)
  call('ZREM', KEYS[3], member)
else
  call('ZREM', KEYS[live and 3 or 4], member)
end
for i = 1, #counters do
  local l = i * 4 - 3
  local d, window, ends, c = lines[l], lines[l + 1], lines[l + 3], counters[i]
  local posted, pending, pin, generation = after[d], 0, head[PINS + 2 * i - 2], head[PINS + 2 * i - 1]
  if live then pending = -held[d] else posted = posted - before[d] end
  local anew = not c
  if anew and posted > 0 then c = lost(window, pin, generation, ends, now) end
  if c and add(window, c, pin, generation, posted, pending) then
    store(KEYS[4 + i], window, c, ends, now, anew)
  end
end
local first_over = (over == 1 and head[OVER] == 0) and 1 or 0
head[BY], head[OVER] = ARGV[3], max(over, head[OVER])
if expire then
  head[1] = EXPIRED
  save(KEYS[2], head, raw)
else
  call('SET', KEYS[2], pack({FINAL, 0, 0, 0, 0, 0, 0, head[USED], head[USED + 1], head[USED + 2], head[USED + 3], ARGV[3], head[OVER]}),
    'PX', ARGV[5])
end
local answer = result(OK)
answer[4] = first_over
return answer
