#!lua
-- Adds to what a live reservation holds, in the windows pinned by Reserve, or nothing. Renews its lease.
-- KEYS: epoch, reservation, live reservations, accounts…
-- ARGV: epoch, time, {lease, token, more * 4, most}
local raw = call('MGET', KEYS[1], KEYS[2], unpack(KEYS, 4))
local now = enter(raw[1])
local head, q = reservation(KEYS[2], raw[2]), numbers(ARGV[3], 1, 7)
if not head or head[1] ~= LIVE then return {UNKNOWN, now} end
local k, n = head[ACCOUNTS], head[LINES]
if k ~= #KEYS - 3 then return wrong_keys(now, head, raw[2]) end
absent(raw, 3, 4)

local repeated = head[TOKEN] == q[2] -- its answer was lost: it must not hold twice
local held, more = amounts(head, HELD, 1), amounts(repeated and {0, 0, 0, 0} or q, repeated and 1 or 3, 0)
for i = 0, 3 do
  if not repeated then head[HELD + i] = head[HELD + i] + q[3 + i] end
  if head[HELD + i] > q[7] then return {AMOUNT, now} end
end
local lines, pins = numbers(raw[2], lines_of(), k + 4 * n), numbers(raw[2], pins_of(head), n)
local accounts, rings, till, grown = {}, {}, {}, {}
local l, p, lacking, full = k + 1, 0, {}, false
local answer, m = {head[HELD], head[HELD + 1], head[HELD + 2], head[HELD + 3]}, 4
for j = 1, k do
  local a, r = account(KEYS[3 + j], raw[2 + j])
  local i, changed = 3, false
  till[j] = 0
  for _ = 1, lines[j] do
    local d, ends, name = lines[l], lines[l + 1], lines[l + 2]
    p = p + 1
    local w, value, pin = more[d], lines[k + 3 * n + p], pins[p]
    i = find(a, i, name, ends)
    if not i and not repeated then
      i = lost(a, name, ends, pin, now) or (ends > 1 and insert(a, name, ends, 0)) or nil -- also where it is over
      if i then -- at least this call is known
        changed = add(a, i, r, pin, 0, held[d]) or changed
        grown[j], till[j] = true, math.max(till[j], needed(ends, now))
      end
    end
    if i then
      local counts = true
      if ends == 1 then
        slide(a, i, r, now)
        local generation = pin % GENERATIONS
        counts = floor(a[i + 2] / 16) == generation and (pin - generation) / GENERATIONS > math.max(a[i + 1], bucket(now)) - BUCKETS
      end
      local all, posted = used(a, i)
      if counts and w > 0 then
        if value >= 0 and w > value - all then
          local o = #lacking
          lacking[o + 1], lacking[o + 2], lacking[o + 3], lacking[o + 4] = p, all, posted, leaves(a, i, r, all + w - value)
        elseif w > MOST - all then
          full = true
        end
      end
      changed = add(a, i, r, pin, 0, w) or changed
      answer[m + 1], answer[m + 2] = used(a, i)
      answer[m + 3] = ends == 1 and leaves(a, i, r, 1) or 0
      i = i + 5
    else
      answer[m + 1], answer[m + 2], answer[m + 3], i = 0, 0, 0, 3
    end
    l, m = l + 3, m + 3
  end
  if changed then accounts[j], rings[j] = a, r end
end
if #lacking > 0 then return {LACKS, now, text(lacking, #lacking)} end
if full then return {AMOUNT, now} end

call('ZADD', KEYS[3], whole(now + q[1]), member_of(head, raw[2]))
for j = 1, k do
  if accounts[j] then save(KEYS[3 + j], accounts[j], rings[j], now, till[j], grown[j]) end
end
head[TOKEN] = q[2]
call('SET', KEYS[2], text(head, HEAD) .. sub(raw[2], 8 * HEAD + 1), 'PX', KEEP)
return {OK, now, head[ADMITTED], text(answer, m)}
