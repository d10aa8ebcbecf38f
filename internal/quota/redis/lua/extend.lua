#!lua
-- Adds to what a live reservation holds, in the windows pinned by Reserve, or nothing. Renews its lease.
-- KEYS: epoch, reservation, live reservations, counters…
-- ARGV: epoch, time, {lease, token, more × 4, most}, id
local now, raw, head, lines, rest = open()
local q = unpackall(ARGV[3])
if not head or head[1] ~= LIVE then return {UNKNOWN, now} end
if #lines ~= 4 * (#KEYS - 3) then
  local _, names = cmsgpack.unpack_limit(raw, 1, rest)
  return {WRONG_KEYS, now, names, lines}
end
local counters, fresh = load(4), {}
local repeated = head[TOKEN] == q[2] -- its answer was lost: it must not hold twice

local lacking, more = {LACKS, now}, amounts(q, 3, 0)
local held = amounts(head, HELD, 1)
if not repeated then
  for i = 0, 3 do
    head[HELD + i] = head[HELD + i] + q[3 + i]
    if head[HELD + i] > q[7] then return {AMOUNT, now} end
  end
  for i = 1, #counters do
    local l = i * 4 - 3
    local window, c, w, value = lines[l + 1], counters[i], more[lines[l]], lines[l + 2]
    local pin, generation = head[PINS + 2 * i - 2], head[PINS + 2 * i - 1]
    if not c then
      c = lost(window, pin, generation, lines[l + 3], now) or (window == CALENDAR and {0, 0}) -- also where it is over
      if c then add(window, c, pin, generation, 0, held[lines[l]]) end -- at least this call is known
      counters[i], fresh[i] = c, true
    end
    if c and w > 0 then
      local all, posted = used(window, c, now)
      local counts = window ~= MINUTE or (pin >= oldest(c, now) and c[1] == generation)
      if value >= 0 and counts and w > value - all then
        local n = #lacking
        lacking[n + 1], lacking[n + 2], lacking[n + 3], lacking[n + 4] = i, all, posted, leaves(window, c, now, all + w - value)
      elseif counts and w > MOST - all then
        return {AMOUNT, now}
      end
    end
  end
  if #lacking > 2 then return lacking end
end

call('ZADD', KEYS[3], whole(now + q[1]), head[BOOK] .. '/' .. ARGV[4])
local answer = {OK, now, head[ADMITTED], head[HELD], head[HELD + 1], head[HELD + 2], head[HELD + 3]}
for i = 1, #counters do
  local l = i * 4 - 3
  local window, c = lines[l + 1], counters[i]
  if c and not repeated and add(window, c, head[PINS + 2 * i - 2], head[PINS + 2 * i - 1], 0, more[lines[l]]) then
    store(KEYS[3 + i], window, c, lines[l + 3], now, fresh[i])
  end
  local all, posted = used(window, c, now)
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3] = all, posted, leaves(window, c, now, 1)
end
head[TOKEN] = q[2]
save(KEYS[2], head, raw)
return answer
