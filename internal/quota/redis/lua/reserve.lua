-- flags:
-- Holds what a call wants under all limits that it matched, or nothing.
-- KEYS: epoch, reservation, live reservations, accounts…
-- ARGV: epoch, time, {lease, from, to, admitted if it is put back or 0}, bill, member
local raw = redis.call('MGET', KEYS[1], KEYS[2], unpack(KEYS, 4))
local now = enter(ARGV, raw[1])
if raw[2] then
  local head = reservation(KEYS[2], raw[2])
  if head[1] ~= LIVE then return {RESOLVED, now} end
  local pins = pins_at(head)
  return {REPEATED, now, head[ADMITTED], string.sub(raw[2], 8 * BILL + 1, pins - 1), string.sub(raw[2], pins)}
end
local lease, from, to, at = struct.unpack('<dddd', ARGV[3])
local again = at > 0
if not again then
  at = now
  if now < from or now >= to then return {WRONG_TIME, now} end
end
absent(KEYS, raw, 3, 4)

local bill = ARGV[4]
local k, n = struct.unpack('<dd', bill, 8 * (ACCOUNTS - BILL) - 7)
local want, lines = numbers(bill, 1, 6), numbers(bill, 8 * (HEAD - BILL) + 1, 2 * k + 4 * n)
local b, l, v = bucket(at), 2 * k + 1, 2 * k + 3 * n + 1
local keep, pins, lacks, full = {}, {}, {}, false
for j = 1, k do
  local a, r = account(KEYS[3 + j], raw[2 + j])
  local i, grown = 3, false
  for _ = 1, lines[2 * j - 1] do
    local w, ends, name, limit, pin = want[lines[l]], lines[l + 1], lines[l + 2], lines[v]
    if a[i] ~= name or (a[i + 1] ~= ends and ends ~= MINUTE) then
      i = find(a, name, ends)
      if not i then
        grown = true
        if ends == MINUTE then i = insert(a, name, b, 16 * generation(now)) else i = insert(a, name, ends, 0) end
      end
    end
    if ends == MINUTE then
      local newest = a[i + 1]
      if newest ~= b or a[i + 2] % 16 > 0 then
        if not again and not reaches(a, i, b) then
          restart(a, i, r, b, generation(now)) -- the clock was set back: not refuse until it has caught up
        end
        slide(a, i, r, now)
        if b > a[i + 1] then advance(a, i, r, b) end -- also for a call that holds nothing: what is pinned is not pruned
        newest = a[i + 1]
      end
      pin = b
      if not again and newest > b then pin = newest end -- a call that comes late counts with the newest
      pin = pin * GENERATIONS + generation_of(a, i)
      pins[#pins + 1] = pin
    end
    if w > 0 then
      local used = a[i + 3] + a[i + 4]
      if limit >= 0 and w > limit - used and not again then
        lacks[#lacks + 1] = (l - 2 * k + 2) / 3
      elseif w > MOST - used then
        full = true
      end
      if pin and a[i + 1] ~= b then add(a, i, r, pin, 0, w) else a[i + 4] = a[i + 4] + w end
    end
    l, v, i = l + 3, v + 1, i + 5
  end
  raw[2 + j + k], keep[j] = value(a, r, now, lines[2 * j], grown)
end
if #lacks > 0 then
  for j = 1, k do raw[2 + j + k] = nil end
  return lacking(lacks, now, raw, 3)
end
if full then return {AMOUNT, now} end -- only where no limit refuses

local record = struct.pack('<dd', LIVE, at) .. bill .. text(pins, #pins) .. string.sub(bill, 1, 48)
  .. table.concat(raw, '', 3 + k, 2 + 2 * k)
local added = redis.call('ZADD', KEYS[3], 'NX', whole(now + lease), ARGV[5])
if not redis.call('SET', KEYS[2], record, 'PX', KEEP, 'NX') then
  if added == 1 then redis.call('ZREM', KEYS[3], ARGV[5]) end
  foreign(KEYS[2])
end
for j = 1, k do save(KEYS[3 + j], raw[2 + j + k], keep[j]) end
return {OK, now, at, unpack(raw, 3 + k, 2 + 2 * k)}
