#!lua flags=allow-oom
-- Ends a reservation: posts what was used, releases what was held. What Expire booked, the first other end replaces.
-- KEYS: epoch, reservation, live reservations, expired reservations, accounts…
-- ARGV: epoch, time, {who, ms to remember the result, used * 4}; to expire: {who, ms, due before}, member of the live
local raw = call('MGET', KEYS[1], KEYS[2], unpack(KEYS, 5))
local now = enter(raw[1])
local head, q = reservation(KEYS[2], raw[2]), numbers(ARGV[3], 1, #ARGV[3] / 8)
local expire = ARGV[4]
if not head then
  if expire then call('ZREM', KEYS[3], expire) end
  return {UNKNOWN, now}
end
local over = head[OVER]
if head[1] == FINAL or (expire and head[1] == EXPIRED) then
  if expire then call('ZREM', KEYS[3], expire) end
  return {expire and head[BY] == q[1] and OK or REPEATED, now, head[BY], over, sub(raw[2], 57, 88)}
end
local k, n = head[ACCOUNTS], head[LINES]
if k ~= #KEYS - 4 then return wrong_keys(now, head, raw[2]) end
local member = member_of(head, raw[2])
if expire then
  local ends = call('ZSCORE', KEYS[3], member)
  if not ends or tonumber(ends) >= math.min(now, q[3]) then return {EARLY, now} end
end
absent(raw, 3, 5)

local live = head[1] == LIVE
local held = amounts(head, HELD, 1)
local before = amounts(head, USED, 0) -- what Expire booked, if it did
if not expire then
  for i = 0, 3 do head[USED + i] = q[3 + i] end
end
local after = amounts(head, USED, 0)
for i = 0, 3 do
  if head[USED + i] > head[HELD + i] then over = 1 end
end
local lines, pins = numbers(raw[2], lines_of(), k + 3 * n), numbers(raw[2], pins_of(head), n)
local accounts, rings, till, grown = {}, {}, {}, {}
local l, p = k + 1, 0
for j = 1, k do
  local a, r = account(KEYS[4 + j], raw[2 + j])
  local i, changed = 3, false
  for _ = 1, lines[j] do
    local d, ends, name = lines[l], lines[l + 1], lines[l + 2]
    local posted, pending = after[d], 0
    if live then pending = -held[d] else posted = posted - before[d] end
    p = p + 1
    if a[i] ~= name or a[i + 1] ~= ends or ends < 2 then i = find(a, i, name, ends) end
    if not i and posted > 0 then
      i = lost(a, name, ends, pins[p], now)
      if i then grown[j], till[j] = true, math.max(till[j] or 0, needed(ends, now)) end
    end
    if i then
      changed = add(a, i, r, pins[p], posted, pending) or changed
      i = i + 5
    else
      i = 3
    end
    l = l + 3
  end
  if changed then accounts[j], rings[j] = a, r end
end

if expire then
  call('ZADD', KEYS[4], whole(now), member)
  call('ZREM', KEYS[3], member)
else
  call('ZREM', KEYS[live and 3 or 4], member)
end
for j = 1, k do
  if accounts[j] then save(KEYS[4 + j], accounts[j], rings[j], now, till[j] or 0, grown[j]) end
end
local first_over = over > head[OVER] and 1 or 0
head[BY], head[OVER] = q[1], over
if expire then
  head[1] = EXPIRED
  raw = text(head, HEAD) .. sub(raw[2], 8 * HEAD + 1)
  call('SET', KEYS[2], raw, 'PX', KEEP)
else
  raw = text({FINAL, 0, 0, 0, 0, 0, 0, head[8], head[9], head[10], head[11], q[1], over, 0, 0, 0}, HEAD)
  call('SET', KEYS[2], raw, 'PX', whole(q[2]))
end
return {OK, now, q[1], first_over, sub(raw, 57, 88)}
