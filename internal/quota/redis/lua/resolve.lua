-- flags: 'allow-oom'
-- Ends a reservation: posts what was used, releases what was held. What Expire booked, the first other end replaces.
-- KEYS: epoch, reservation, live reservations, expired reservations, accounts…
-- ARGV: epoch, time, {who, ms to remember the result, used * 6}; to expire: {who, ms, due before}, member of the live
local raw = redis.call('MGET', KEYS[1], KEYS[2], unpack(KEYS, 5))
local now = enter(ARGV, raw[1])
local who, remember, due = struct.unpack('<ddd', ARGV[3])
local record, expire = raw[2], ARGV[4]
if not record then
  if expire then redis.call('ZREM', KEYS[3], expire) end
  return {UNKNOWN, now}
end
local head = reservation(KEYS[2], record)
local live, over = head[1] == LIVE, head[OVER]
if not live and (expire or head[1] == FINAL) then
  if expire then redis.call('ZREM', KEYS[3], expire) end
  local by, was_over, result = head[BY], over, string.sub(record, 8 * USED - 7, 8 * USED + 40)
  if head[1] == FINAL then
    local _, requests, input, output, cost
    _, by, was_over, requests, input, output, cost = struct.unpack('<BBBI6I6I6I6', record)
    result = struct.pack('<dddddd', requests, input, output, input + output, cost, 0)
  end
  return {expire and by == who and OK or REPEATED, now, by, was_over, result}
end
local k, n = head[ACCOUNTS], head[LINES]
if k ~= #KEYS - 4 then return wrong_keys(now, head, record) end
local member = member_of(head, record)
if expire then
  local ends = redis.call('ZSCORE', KEYS[3], member)
  if not ends or tonumber(ends) >= math.min(now, due) then return {EARLY, now} end
end
absent(KEYS, raw, 3, 5)

local lines, pins, m = numbers(record, 8 * HEAD + 1, 2 * k + 3 * n), pins_at(head), -8
local after = expire and head or numbers(ARGV[3], 17, 6) -- used in each dimension, behind shift
local shift, changed, keep = expire and USED - 1 or 0, {}, {}
for d = 1, 5 do
  if after[d + shift] > head[HELD - 1 + d] then over = 1 end
end
local l = 2 * k + 1
for j = 1, k do
  local a, r = account(KEYS[4 + j], raw[2 + j])
  local i, touched, grown = 3, false, false
  for _ = 1, lines[2 * j - 1] do
    local d, ends, name, pin = lines[l], lines[l + 1], lines[l + 2], nil
    local posted, pending = after[d + shift], 0
    if live then pending = -head[HELD - 1 + d] else posted = posted - head[USED - 1 + d] end -- which Expire booked
    if ends == MINUTE then
      m = m + 8
      pin = struct.unpack('<d', record, pins + m)
    end
    if a[i] ~= name or (a[i + 1] ~= ends and not pin) then
      i = find(a, name, ends)
      if not i and posted > 0 then
        i = lost(a, name, ends, pin, now)
        grown = grown or i
      end
    end
    if i then
      touched = add(a, i, r, pin, posted, pending) or touched
      i = i + 5
    else
      i = 3
    end
    l = l + 3
  end
  if touched then changed[j], keep[j] = value(a, r, now, grown and lines[2 * j] or 0, grown) end
end

if expire then
  redis.call('ZADD', KEYS[4], whole(now), member)
  redis.call('ZREM', KEYS[3], member)
else
  redis.call('ZREM', KEYS[live and 3 or 4], member)
end
for j = 1, k do
  if changed[j] then save(KEYS[4 + j], changed[j], keep[j]) end
end
local first_over = over > head[OVER] and 1 or 0
local result
if expire then
  result = string.sub(record, 8 * USED - 7, 8 * USED + 40)
  redis.call('SET', KEYS[2], struct.pack('<d', EXPIRED) .. string.sub(record, 9, 8 * BY - 8) .. struct.pack('<dd', who, over) .. string.sub(record, 8 * OVER + 1), 'PX', KEEP)
else
  result = string.sub(ARGV[3], 17)
  redis.call('SET', KEYS[2], struct.pack('<BBBI6I6I6I6', FINAL, who, over, after[1], after[2], after[3], after[5]), 'PX', whole(remember))
end
return {OK, now, who, first_over, result}
