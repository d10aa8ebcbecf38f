-- flags:
-- Has a live reservation hold so much in all, in the windows pinned by Reserve, or leaves it as it was. Renews its lease.
-- What it holds is never lowered, so that a repeat changes nothing.
-- KEYS: epoch, reservation, live reservations, accounts…
-- ARGV: epoch, time, {lease, to * 6}
local raw = redis.call('MGET', KEYS[1], KEYS[2], unpack(KEYS, 4))
local now = enter(ARGV, raw[1])
local record = raw[2]
if not record then return {UNKNOWN, now} end
local head = reservation(KEYS[2], record)
if head[1] ~= LIVE then return {UNKNOWN, now} end
local k, n = head[ACCOUNTS], head[LINES]
if k ~= #KEYS - 3 then return wrong_keys(now, head, record) end
absent(KEYS, raw, 3, 4)

local lease, to = struct.unpack('<d', ARGV[3]), numbers(ARGV[3], 9, 6)
local held, more = {}, {}
for d = 1, 6 do held[d] = math.max(head[HELD - 1 + d], to[d]) end
held[4] = held[2] + held[3]
for d = 1, 6 do more[d] = held[d] - head[HELD - 1 + d] end
local lines, pins, m = numbers(record, 8 * HEAD + 1, 2 * k + 4 * n), pins_at(head), -8
local l, v = 2 * k + 1, 2 * k + 3 * n + 1
local answer, keep, changed, lacks, full = {OK, now, head[ADMITTED], text(held, 6)}, {}, {}, {}, false
for j = 1, k do
  local a, r = account(KEYS[3 + j], raw[2 + j])
  local grown = false
  for _ = 1, lines[2 * j - 1] do
    local d, ends, name, limit, pin = lines[l], lines[l + 1], lines[l + 2], lines[v], nil
    local w, i, counts = more[d], find(a, name, ends), true
    if ends == MINUTE then
      m = m + 8
      pin = struct.unpack('<d', record, pins + m)
    end
    if not i then
      i = lost(a, name, ends, pin, now) or (ends > MINUTE and insert(a, name, ends, 0)) -- also where it is over
      if i then -- at least this call is known
        grown = true
        add(a, i, r, pin, 0, head[HELD - 1 + d])
      end
    end
    if i then
      if pin then
        slide(a, i, r, now)
        counts = generation_of(a, i) == pin % GENERATIONS
          and bucket_of(pin) > math.max(a[i + 1], bucket(now)) - BUCKETS
      end
      local used = a[i + 3] + a[i + 4]
      if counts and w > 0 and limit >= 0 and w > limit - used then
        lacks[#lacks + 1] = (l - 2 * k + 2) / 3
      elseif counts and w > MOST - used then
        full = true
      end
      changed[j] = add(a, i, r, pin, 0, w) or grown or changed[j]
    end
    l, v = l + 3, v + 1
  end
  answer[4 + j], keep[j] = value(a, r, now, grown and lines[2 * j] or 0, grown)
end
if #lacks > 0 then
  answer = lacking(lacks, now, raw, 3)
  table.insert(answer, 3, text(more, 6))
  return answer
end
if full then return {AMOUNT, now} end

redis.call('ZADD', KEYS[3], whole(now + lease), member_of(head, record))
for j = 1, k do
  if changed[j] then save(KEYS[3 + j], answer[4 + j], keep[j]) end
end
redis.call('SET', KEYS[2], struct.pack('<dd', LIVE, head[ADMITTED]) .. answer[4] .. string.sub(record, 8 * USED - 7), 'PX', KEEP)
return answer
