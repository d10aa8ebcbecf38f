#!lua
-- Holds what a call wants under all limits that it matched, or nothing.
-- KEYS: epoch, reservation, live reservations, accounts…
-- ARGV: epoch, time, {lease, from, to, held * 4}, lines, names, member; to put one back: {…, admitted, progress * 4}
local raw = call('MGET', KEYS[1], KEYS[2], unpack(KEYS, 4))
local now = enter(raw[1])
local q = numbers(ARGV[3], 1, #ARGV[3] / 8)
local again = #ARGV[3] > 56
local head = reservation(KEYS[2], raw[2])
if head then
  if head[1] ~= LIVE then return {RESOLVED, now} end
  local first = first_of(head)
  return {REPEATED, now, head[ADMITTED], sub(raw[2], first, first + 8 * (4 + 3 * head[LINES]) - 1),
    sub(raw[2], names_of(head), first - 1), sub(raw[2], lines_of(), pins_of(head) - 1)}
end
if not again and (now < q[2] or now >= q[3]) then return {WRONG_TIME, now} end
absent(raw, 3, 4)

local at = again and q[8] or now
local k, size = #KEYS - 3, #ARGV[4] / 8
local n = (size - k) / 4
local lines, want, b = numbers(ARGV[4], 1, size), amounts(q, 4, 1), bucket(at)
local accounts, rings, till, grown = {}, {}, {}, {}
local l, v, pins, lacking = k + 1, k + 3 * n, {}, {}
local first, m = {q[4], q[5], q[6], q[7]}, 4
for j = 1, k do
  local a, r = account(KEYS[3 + j], raw[2 + j])
  local i, longest = 3, a[1]
  for _ = 1, lines[j] do
    local w, ends, name = want[lines[l]], lines[l + 1], lines[l + 2]
    local pin = 0
    if a[i] ~= name or a[i + 1] ~= ends or ends < 2 then i = find(a, i, name, ends) end
    if ends == 1 then
      if not i then
        i, grown[j] = minute(a, name, b, now % 65536 + 1), true
      elseif not reaches(a, i, b) and not again then
        -- The clock was set back: begin anew, not refuse until it has caught up.
        a[i + 1], a[i + 2], a[i + 3], a[i + 4], r[i] = b, 16 * (now % 65536 + 1), 0, 0, nil
      end
      slide(a, i, r, now)
      pin = again and b or math.max(b, a[i + 1]) -- a call that comes late counts with the newest
      pin = pin * GENERATIONS + floor(a[i + 2] / 16)
    elseif not i then
      i, grown[j] = insert(a, name, ends, 0), true
    end
    if w > 0 then
      local all, posted = used(a, i)
      v = v + 1
      local value = lines[v]
      if value >= 0 and w > value - all and not again then
        local o = #lacking
        lacking[o + 1], lacking[o + 2], lacking[o + 3], lacking[o + 4] = v - k - 3 * n, all, posted, leaves(a, i, r, all + w - value)
      elseif w > MOST - all and #lacking == 0 then
        lacking.amount = true -- only where no limit refuses
      end
      add(a, i, r, pin, 0, w)
    else
      v = v + 1
    end
    local till_here = needed(ends, now)
    if till_here > longest then longest = till_here end
    pins[#pins + 1] = pin
    first[m + 1], first[m + 2] = used(a, i)
    first[m + 3] = ends == 1 and leaves(a, i, r, 1) or 0
    l, m, i = l + 3, m + 3, i + 5
  end
  accounts[j], rings[j], till[j] = a, r, longest
end
if #lacking > 0 then return {LACKS, now, text(lacking, #lacking)} end
if lacking.amount then return {AMOUNT, now} end

local answer, names, member = text(first, m), ARGV[5], ARGV[6]
head = {LIVE, 0, at, q[4], q[5], q[6], q[7], q[9] or 0, q[10] or 0, q[11] or 0, q[12] or 0, 0, 0, k, n, #names}
local added = call('ZADD', KEYS[3], 'NX', whole(now + q[1]), member)
if not call('SET', KEYS[2], text(head, HEAD) .. ARGV[4] .. text(pins, n) .. names .. answer .. member, 'PX', KEEP, 'NX') then
  if added == 1 then call('ZREM', KEYS[3], member) end
  foreign(KEYS[2])
end
for j = 1, k do save(KEYS[3 + j], accounts[j], rings[j], now, till[j], grown[j]) end
return {OK, now, at, answer}
