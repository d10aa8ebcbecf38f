-- What the functions share. The library is loaded once, so what stands here is made once.
--
-- Integers only, below 2^53: numbers are doubles, in what is stored and in what is passed too, 8 bytes each and little-endian.
-- Times are microseconds since 1970.
--
-- An account is what is counted for one id, be it of a team, a user or an app:
--   {until when it is kept, how many counters, then of each {name, window, ring, posted, pending}}, then the rings.
-- The window of a counter is the end of the calendar window, the newest bucket of a sliding minute, or 0 of concurrency. Its
-- ring is 0, or of a minute generation * 16 + how many buckets before the newest are known; the ring is {posted, pending} of
-- each of those, the oldest first. Of a minute, posted and pending are of all its buckets, so that a call which meets the
-- newest need not touch the ring. Names are above 2^51, where nothing else is.
--
-- A bill is what a call counts under, as Go writes it:
--   {held * 6, progress * 6, who resolved it: 0, whether over: 0, how many accounts, lines, bytes of names, bytes of member,
--   then of each account {lines, until when it is needed}, then of each line {dimension, end, name}, then of each line its
--   value, -1 of one that does not refuse}, names, member
-- Amounts have one for each dimension. The end is that of the calendar window, 1 for the sliding minute, 0 for concurrency.
-- Names are for Go. The member stands for the reservation among the live ones.
--
-- A reservation is {state, admitted}, its bill, {the pin of each line of a minute}, then what
-- Reserve answered: {held * 6} and the accounts as it left them. A pin is bucket * 131072 + generation.
-- One that was settled or voided is small, since most are: state, who resolved it and whether over in a byte each, then the
-- four amounts in six.
--
-- All reads come before the first write, and the first write is one that can fail: a script changes all or nothing.

local LIVE, FINAL, EXPIRED = 1, 2, 3

local OK, REPEATED, RESOLVED, LACKS, UNKNOWN, WRONG_TIME, WRONG_KEYS, AMOUNT, EARLY = 0, 1, 2, 3, 4, 5, 6, 7, 8

-- Where the numbers of a reservation are, and how many come before the accounts; BILL of them before the bill.
local ADMITTED, HELD, USED, BY, OVER, ACCOUNTS, LINES, NAMES, MEMBER, HEAD, BILL = 2, 3, 9, 15, 16, 17, 18, 19, 20, 20, 2

local MINUTE = 1

local MOST = 9007199254740991

local BUCKETS, BUCKET, GENERATIONS = 13, 5000000, 131072

local KEEP = '3024000000' -- ms, 35 days: outlasts every window

local LINGER = 3600000000 -- µs that a calendar window stays after its end, for what is booked late

local function foreign(key)
  error({err = 'FOREIGN ' .. key})
end

-- whole writes an integer for a command: faster and safer than Lua's own way with doubles.
local function whole(n) return string.format('%d', n) end

-- enter refuses a call for another epoch than the one in force, and gives the time.
local function enter(args, epoch)
  if epoch ~= args[1] then error({err = 'EPOCH not in force'}) end
  if args[2] ~= '' then return tonumber(args[2]) end
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

-- PIECE is how many numbers are read or written at once: Lua's stack takes 8000.
local PIECE = 4000

-- format names n doubles. Names that were made are kept: there are at most PIECE.
local FORMATS = {}
local function format(n)
  local f = '<' .. string.rep('d', n)
  FORMATS[n] = f
  return f
end

-- numbers reads n doubles of a text from a place on. What stands behind them in the table is no number of the text.
local function numbers(text, from, n)
  if n <= PIECE then return {struct.unpack(FORMATS[n] or format(n), text, from)} end
  local all = numbers(text, from, PIECE)
  for i = PIECE + 1, n do all[i] = struct.unpack('<d', text, from + 8 * i - 8) end
  return all
end

-- text writes the first n numbers of a table.
local function text(t, n)
  if n <= PIECE then return struct.pack(FORMATS[n] or format(n), unpack(t, 1, n)) end
  local all = {}
  for i = 1, n, PIECE do
    local last = math.min(n, i + PIECE - 1)
    all[#all + 1] = struct.pack(format(last - i + 1), unpack(t, i, last))
  end
  return table.concat(all)
end

-- reservation gives the first numbers of a record that is not final, of a final one only its state.
local function reservation(key, raw)
  if #raw == 27 and struct.unpack('B', raw) == FINAL then return {FINAL} end
  local state = #raw > 27 and struct.unpack('<d', raw)
  if (state ~= LIVE and state ~= EXPIRED) or #raw < 8 * HEAD then foreign(key) end
  local head = numbers(raw, 1, HEAD)
  if not (#raw >= 8 * (HEAD + 2 * head[ACCOUNTS] + 4 * head[LINES]) + head[NAMES] + head[MEMBER]) then foreign(key) end
  return head
end

-- names_at gives where the names in a record begin, pins_at where the pins do.
local function names_at(head) return 8 * (HEAD + 2 * head[ACCOUNTS] + 4 * head[LINES]) + 1 end

local function pins_at(head) return names_at(head) + head[NAMES] + head[MEMBER] end

local function member_of(head, raw)
  local at = names_at(head) + head[NAMES]
  return string.sub(raw, at, at + head[MEMBER] - 1)
end

-- wrong_keys answers one who does not know the accounts of a reservation, or takes it to have others.
local function wrong_keys(now, head, raw)
  return {WRONG_KEYS, now, string.sub(raw, 8 * BILL + 1, pins_at(head) - 1)}
end

-- account reads one, and its rings by the places of their counters.
local function account(key, raw)
  if not raw then return {0, 0}, {} end
  local n = #raw >= 16 and struct.unpack('<d', raw, 9) or -1
  local at, rings = 17 + 40 * n, {}
  if not (n >= 0 and n % 1 == 0 and #raw >= at - 1) then foreign(key) end
  local a = numbers(raw, 1, 2 + 5 * n)
  if #raw == at - 1 then return a, rings end
  for i = 3, 2 + 5 * n, 5 do
    local length = 16 * (a[i + 2] % 16)
    if length > 0 then
      rings[i] = string.sub(raw, at, at + length - 1)
      at = at + length
    end
  end
  if #raw ~= at - 1 then foreign(key) end
  return a, rings
end

-- absent sees that no key of another type stands for an account that MGET did not find, and puts nothing in its place.
local function absent(keys, raw, from, first)
  for k = first, #keys do
    if not raw[k - first + from] and redis.call('EXISTS', keys[k]) > 0 then foreign(keys[k]) end
  end
end

-- What a pin says, and the generation of a minute.
local function bucket_of(pin) return (pin - pin % GENERATIONS) / GENERATIONS end

local function generation_of(a, i) return (a[i + 2] - a[i + 2] % 16) / 16 end

local function bucket(at) return (at - at % BUCKET) / BUCKET end

-- find gives where a counter stands in an account, nil if it does not.
local function find(a, name, ends)
  for i = 3, 2 + 5 * a[2], 5 do
    if a[i] == name and (ends == MINUTE or a[i + 1] == ends) then return i end
  end
end

-- insert puts a new counter last.
local function insert(a, name, window, ring)
  local i = 3 + 5 * a[2]
  a[2] = a[2] + 1
  a[i], a[i + 1], a[i + 2], a[i + 3], a[i + 4] = name, window, ring, 0, 0
  return i
end

-- generation tells a sliding minute from one that it replaces. It is never 0.
local function generation(now) return now % 65536 + 1 end

-- lost counts again in a pinned window whose counter is missing but should not be, nil if it should.
local function lost(a, name, ends, pin, now)
  if ends ~= MINUTE then return ends > now and insert(a, name, ends, 0) or nil end
  local b = bucket_of(pin)
  return bucket(now) - b < BUCKETS and insert(a, name, b, 16 * (pin % GENERATIONS)) or nil
end

-- prune takes out what counts no more: calendar windows that are long over and of which nothing is pending, minutes that have
-- passed, concurrency of none.
local function prune(a, rings, now)
  local n, oldest = 3, bucket(now) - BUCKETS + 1
  for i = 3, 2 + 5 * a[2], 5 do
    local window, keep = a[i + 1], a[i + 4] > 0
    if a[i + 2] > 0 then keep = window >= oldest elseif window > 0 then keep = keep or window + LINGER > now end
    if keep then
      rings[n] = rings[i]
      for j = 0, 4 do a[n + j] = a[i + j] end
      n = n + 5
    end
  end
  a[2] = (n - 3) / 5
end

-- value writes an account that is needed until a time. One that has grown is pruned first. It also gives how long the key is
-- to be kept from now on, nil where that does not change.
local function value(a, rings, now, till, grown)
  local keep
  if grown then prune(a, rings, now) end
  if till > a[1] then
    a[1], keep = till, whole(math.max(till - now, 60000000) / 1000)
  end
  local n = 2 + 5 * a[2]
  local written = text(a, n)
  if next(rings) then
    for i = 3, n, 5 do
      if rings[i] then written = written .. rings[i] end
    end
  end
  return written, keep
end

local function save(key, written, keep)
  if keep then
    redis.call('SET', key, written, 'PX', keep)
  else
    redis.call('SET', key, written, 'KEEPTTL')
  end
end

-- lacking answers that lines lack room, with the accounts as they are.
local function lacking(lines, now, raw, from)
  local answer = {LACKS, now, text(lines, #lines)}
  for i = from, #raw do answer[#answer + 1] = raw[i] or '' end
  return answer
end

-- sums adds up {posted, pending} of the first n buckets of a ring.
local function sums(ring, n)
  local posted, pending = 0, 0
  for at = 1, 16 * n, 16 do
    local p, q = struct.unpack('<dd', ring, at)
    posted, pending = posted + p, pending + q
  end
  return posted, pending
end

-- shorten takes the first n buckets from a ring, and from what is counted.
local function shorten(a, i, rings, n)
  local posted, pending = sums(rings[i], n)
  a[i + 2], a[i + 3], a[i + 4] = a[i + 2] - n, math.max(0, a[i + 3] - posted), math.max(0, a[i + 4] - pending)
  rings[i] = a[i + 2] % 16 > 0 and string.sub(rings[i], 16 * n + 1) or nil
end

-- restart begins a minute anew. Its generation tells it from the one that it replaces.
local function restart(a, i, rings, b, generation)
  a[i + 1], a[i + 2], a[i + 3], a[i + 4], rings[i] = b, 16 * generation, 0, 0, nil
end

-- slide drops from a minute what has left it.
local function slide(a, i, rings, now)
  local known, oldest = a[i + 2] % 16, bucket(now) - BUCKETS + 1
  if a[i + 1] < oldest then
    restart(a, i, rings, a[i + 1], generation_of(a, i))
  elseif a[i + 1] - known < oldest then
    shorten(a, i, rings, oldest - a[i + 1] + known)
  end
end

-- reaches reports whether a bucket is in a minute or newer.
local function reaches(a, i, b) return b > a[i + 1] - BUCKETS end

-- advance makes a bucket the newest of a minute.
local function advance(a, i, rings, b)
  local known, passed = a[i + 2] % 16, b - a[i + 1]
  if passed >= BUCKETS or (known == 0 and a[i + 3] + a[i + 4] == 0) then
    return restart(a, i, rings, b, generation_of(a, i))
  end
  local ring = rings[i] or ''
  local posted, pending = sums(ring, known)
  rings[i] = ring .. struct.pack('<dd', math.max(0, a[i + 3] - posted), math.max(0, a[i + 4] - pending)) .. string.rep('\0', 16 * (passed - 1))
  local leave = math.max(0, known + passed - BUCKETS + 1)
  if leave > 0 then
    posted, pending = sums(rings[i], leave)
    rings[i] = string.sub(rings[i], 16 * leave + 1)
    a[i + 3], a[i + 4] = math.max(0, a[i + 3] - posted), math.max(0, a[i + 4] - pending)
  end
  a[i + 1], a[i + 2] = b, a[i + 2] + passed - leave
end

-- before changes a bucket before the newest of a minute.
local function before(a, i, rings, b, posted, pending)
  local ring, first = rings[i] or '', a[i + 1] - a[i + 2] % 16
  if b < first then
    ring = string.rep('\0', 16 * (first - b)) .. ring
    a[i + 2], first = a[i + 2] + first - b, b
  end
  local at = 16 * (b - first) + 1
  local was, held = struct.unpack('<dd', ring, at)
  local p, q = math.max(0, math.min(was + posted, MOST)), math.max(0, held + pending)
  rings[i] = string.sub(ring, 1, at - 1) .. struct.pack('<dd', p, q) .. string.sub(ring, at + 16)
  return p - was, q - held
end

-- add changes posted and pending in a pinned window, and reports whether it did. What was restarted or has left the minute is
-- passed over. The pin is nil where it is no minute.
local function add(a, i, rings, pin, posted, pending)
  if posted == 0 and pending == 0 then return false end
  if pin then
    local b = bucket_of(pin)
    if generation_of(a, i) ~= pin % GENERATIONS or not reaches(a, i, b) then return false end
    if b > a[i + 1] then
      advance(a, i, rings, b)
    elseif b < a[i + 1] then
      posted, pending = before(a, i, rings, b, posted, pending)
    elseif posted < 0 and rings[i] then -- no more than the bucket has
      posted = math.max(posted, sums(rings[i], a[i + 2] % 16) - a[i + 3])
    end
  end
  local p, q = a[i + 3] + posted, a[i + 4] + pending
  if p < 0 then p = 0 elseif p > MOST then p = MOST end
  if q < 0 then q = 0 end
  a[i + 3], a[i + 4] = p, q
  return true
end
