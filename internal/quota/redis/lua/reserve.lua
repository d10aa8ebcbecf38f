#!lua
-- Holds what a call wants under all limits that it matched, or nothing.
-- KEYS: epoch, reservation, live reservations, counters…
-- ARGV: epoch, time, {lease, from, to, held × 4}, lines, names, book, id; to put one back: {…, admitted, progress × 4}
local now, raw, head, _, rest = open()
local q = unpackall(ARGV[3])
local again = q[8] ~= nil
if head then
  if head[1] ~= LIVE then return {RESOLVED, now} end
  local _, names, first = cmsgpack.unpack_limit(raw, 2, rest)
  return {REPEATED, now, head[ADMITTED], names, unpack(first)}
end
if not again and (now < q[2] or now >= q[3]) then return {WRONG_TIME, now} end

local lines, counters = unpackall(ARGV[4]), load(4)
local at = again and q[8] or now
local want, b = amounts(q, 4, 1), bucket(at)
local lacking, fresh = {LACKS, now}, {}
for i = 1, #counters do
  local l = i * 4 - 3
  local window, c = lines[l + 1], counters[i]
  if not c then
    c, fresh[i] = {0, 0}, true
    if window == MINUTE then c = {now % 65536, b} end
  elseif window == MINUTE and not reaches(c, b) and not again then
    c, fresh[i] = {now % 65536, b}, true -- the clock was set back: begin anew, not refuse until it has caught up
  end
  counters[i] = c
  local w, value = want[lines[l]], lines[l + 2]
  if w > 0 then
    local all, posted = used(window, c, now)
    if value >= 0 and w > value - all and not again then
      local n = #lacking
      lacking[n + 1], lacking[n + 2], lacking[n + 3], lacking[n + 4] = i, all, posted, leaves(window, c, now, all + w - value)
    elseif w > MOST - all then
      return {AMOUNT, now} -- only where no limit refuses before
    end
  end
end
if #lacking > 2 then return lacking end

head = {LIVE, 0, at, q[4], q[5], q[6], q[7], q[9] or 0, q[10] or 0, q[11] or 0, q[12] or 0, '', 0, ARGV[6]}
local answer, changed, n, m = {OK, now, at, q[4], q[5], q[6], q[7]}, {}, 14, 7
for i = 1, #counters do
  local l = i * 4 - 3
  local window, c, w = lines[l + 1], counters[i], want[lines[l]]
  local pin, generation = 0, 0
  if window == MINUTE then
    pin, generation = max(b, c[2]), c[1] -- a call that comes late counts with the newest
    if again then pin = b end
    changed[i] = pin > c[2] and 2 or 1
  end
  if add(window, c, pin, generation, 0, w) then
    if window ~= MINUTE then changed[i] = 1 end
  elseif not fresh[i] then
    changed[i] = nil
  end
  head[n + 1], head[n + 2], n = pin, generation, n + 2
  answer[m + 1], answer[m + 2] = used(window, c, now)
  answer[m + 3], m = leaves(window, c, now, 1), m + 3
end
local member = ARGV[6] .. '/' .. ARGV[7]
local added = call('ZADD', KEYS[3], 'NX', whole(now + q[1]), member)
if not call('SET', KEYS[2], pack(head) .. ARGV[4] .. ARGV[5] .. pack({unpack(answer, 4)}), 'PX', KEEP, 'NX') then
  if added == 1 then call('ZREM', KEYS[3], member) end
  foreign(KEYS[2])
end
for i, kind in pairs(changed) do
  local l = i * 4 - 3
  store(KEYS[3 + i], lines[l + 1], counters[i], lines[l + 3], now, fresh[i] or kind == 2)
end
return answer
