-- What scripts share. Each is given the blocks of it, apart by blank lines, that it names (script.go): what a script defines
-- is made anew at each call.
--
-- Integers only, below 2^53: numbers are doubles, in what is stored and in what is passed too, 8 bytes each and little-endian.
-- Times are microseconds since 1970.
--
-- An account is what is counted for one id, be it of a team, a user or an app:
--   {until when it is kept, how many counters, then of each {name, window, ring, posted, pending}}, then the rings.
-- The window of a counter is the end of the calendar window, the newest bucket of a sliding minute, or 0 of concurrency. Its
-- ring is 0, or of a minute generation * 16 + the number of its buckets; the ring is {posted, pending} of each, the newest
-- last. Of a minute, posted and pending are the sums over the ring.
--
-- Lines are {how many there are of each account, then {dimension, end, name} of each line, then the value of each, -1 for one
-- that does not refuse}. The end is that of the calendar window, 1 for the sliding minute, 0 for concurrency.
--
-- A reservation is {state, token of the last extend, admitted, held * 4, progress or result * 4, who resolved it, whether
-- over, how many accounts, lines, bytes of names}, lines, the pin of each line, names, what Reserve answered, member. A pin is
-- 0, or of a minute bucket * 131072 + generation. Names are for Go. Of a settled or voided one only the first part is kept.
--
-- All reads come before the first write, and the first write is one that can fail: a script changes all or nothing.

local LIVE, FINAL, EXPIRED = 1, 2, 3

local OK, REPEATED, RESOLVED, LACKS, UNKNOWN, WRONG_TIME, WRONG_KEYS, AMOUNT, EARLY = 0, 1, 2, 3, 4, 5, 6, 7, 8

local TOKEN, ADMITTED, HELD, USED, BY, OVER, ACCOUNTS, LINES, NAMES, HEAD = 2, 3, 4, 8, 12, 13, 14, 15, 16, 16

local MOST = 9007199254740991

local BUCKETS, BUCKET, EMPTY, GENERATIONS = 13, 5000000, string.rep('\0', 16), 131072

local KEEP = '3024000000' -- ms, 35 days: outlasts every window

local LINGER = 3600000000 -- µs that a calendar window stays after its end, for calls that began in it

local floor = math.floor

local call = redis.call

local structure, destruct, rep, sub = struct.pack, struct.unpack, string.rep, string.sub

local function foreign(key)
  error({err = 'FOREIGN ' .. key})
end

-- whole writes an integer for a command: faster and safer than Lua's own way with doubles.
local function whole(n) return string.format('%d', n) end

-- enter refuses a call for another epoch, and gives the time.
local function enter(epoch)
  if epoch ~= ARGV[1] then error({err = 'EPOCH not in force'}) end
  if ARGV[2] ~= '' then return tonumber(ARGV[2]) end
  local t = call('TIME')
  return t[1] * 1000000 + t[2]
end

-- PIECE is how many numbers are read or written at once: Lua's stack takes 8000.
local PIECE = 4000

-- numbers reads n doubles of a text from a place on. What stands behind them in the table is not theirs.
local function numbers(text, from, n)
  if n <= PIECE then return {destruct('<' .. rep('d', n), text, from)} end
  local all = numbers(text, from, PIECE)
  for i = PIECE + 1, n do all[i] = destruct('<d', text, from + 8 * i - 8) end
  return all
end

-- text writes the first n numbers of a table.
local function text(t, n)
  if n <= PIECE then return structure('<' .. rep('d', n), unpack(t, 1, n)) end
  local all = {}
  for i = 1, n, PIECE do
    local last = math.min(n, i + PIECE - 1)
    all[#all + 1] = structure('<' .. rep('d', last - i + 1), unpack(t, i, last))
  end
  return table.concat(all)
end

-- reservation gives the first part of a record, nil if there is none.
local function reservation(key, raw)
  if not raw then return nil end
  if #raw < 8 * HEAD then foreign(key) end
  local head = numbers(raw, 1, HEAD)
  local state, k, n = head[1], head[ACCOUNTS], head[LINES]
  if (state == FINAL and #raw == 8 * HEAD)
    or ((state == LIVE or state == EXPIRED) and #raw > 8 * (HEAD + k + 8 * n + 4) + head[NAMES]) then return head end
  foreign(key)
end

-- lines_of, pins_of and names_of give where these parts of a record begin; first_of, where what Reserve answered does.
local function lines_of() return 8 * HEAD + 1 end

local function pins_of(head) return 8 * (HEAD + head[ACCOUNTS] + 4 * head[LINES]) + 1 end

local function names_of(head) return pins_of(head) + 8 * head[LINES] end

local function first_of(head) return names_of(head) + head[NAMES] end

local function member_of(head, raw) return sub(raw, first_of(head) + 8 * (4 + 3 * head[LINES])) end

-- wrong_keys answers one who does not know the accounts of a reservation, or takes it to have others.
local function wrong_keys(now, head, raw)
  return {WRONG_KEYS, now, sub(raw, names_of(head), first_of(head) - 1), sub(raw, lines_of(), pins_of(head) - 1)}
end

-- account reads one, and its rings by the places of their counters.
local function account(key, raw)
  if not raw then return {0, 0}, {} end
  local n = #raw >= 16 and destruct('<d', raw, 9) or -1
  local at = 17 + 40 * n
  if not (n >= 0 and n % 1 == 0 and #raw >= at - 1) then foreign(key) end
  local a, rings = numbers(raw, 1, 2 + 5 * n), {}
  for i = 3, 2 + 5 * n, 5 do
    local length = a[i + 2] % 16
    if length > 0 then
      rings[i] = sub(raw, at, at + 16 * length - 1)
      at = at + 16 * length
    end
  end
  if #raw ~= at - 1 then foreign(key) end
  return a, rings
end

-- absent sees that no key of another type stands for an account that MGET did not find.
local function absent(raw, from, first)
  for k = first, #KEYS do
    if not raw[k - first + from] and call('EXISTS', KEYS[k]) > 0 then foreign(KEYS[k]) end
  end
end

local function bucket(at) return floor(at / BUCKET) end

-- find gives where a counter stands in an account, nil if it does not. Most often it is where it is looked for first.
local function find(a, at, name, ends)
  if a[at] == name and (ends == 1 or a[at + 1] == ends) and at < 3 + 5 * a[2] then return at end
  for i = 3, 2 + 5 * a[2], 5 do
    if a[i] == name and (ends == 1 or a[i + 1] == ends) then return i end
  end
end

-- insert puts a new counter last.
local function insert(a, name, window, ring)
  local i = 3 + 5 * a[2]
  a[2] = a[2] + 1
  a[i], a[i + 1], a[i + 2], a[i + 3], a[i + 4] = name, window, ring, 0, 0
  return i
end

-- prune takes out what counts no more: calendar windows that are long over, minutes that have passed, concurrency of none.
local function prune(a, rings, now)
  local n, oldest = 3, bucket(now) - BUCKETS + 1
  for i = 3, 2 + 5 * a[2], 5 do
    local window, ring = a[i + 1], a[i + 2]
    local keep
    if ring > 0 then keep = window >= oldest
    elseif window > 0 then keep = window + LINGER > now
    else keep = a[i + 4] > 0 end
    if keep then
      rings[n] = rings[i]
      for j = 0, 4 do a[n + j] = a[i + j] end
      n = n + 5
    end
  end
  for i = n, 2 + 5 * a[2], 5 do rings[i] = nil end
  a[2] = (n - 3) / 5
end

-- needed gives until when a counter is needed. It moves by steps, so that most calls need not set a key's time to live.
local function needed(ends, now)
  if ends > 1 then return ends + LINGER end
  if ends == 1 then return (bucket(now) + 2 * BUCKETS) * BUCKET end
  return (floor(now / 86400000000) + 36) * 86400000000
end

-- save writes an account, which is to be kept until a time. A grown one is pruned first.
local function save(key, a, rings, now, till, grown)
  if grown then prune(a, rings, now) end
  local longer = till > a[1]
  if longer then a[1] = till end
  local n = 2 + 5 * a[2]
  local value = text(a, n)
  if next(rings) then
    local all = {value}
    for i = 3, n, 5 do
      if rings[i] then all[#all + 1] = rings[i] end
    end
    value = table.concat(all)
  end
  if longer then
    call('SET', key, value, 'PX', whole(math.max(till - now, 60000000) / 1000))
  else
    call('SET', key, value, 'KEEPTTL')
  end
end

-- slide drops from a minute what has left it at a time.
local function slide(a, i, rings, now)
  local ring, length = rings[i], a[i + 2] % 16
  local left = bucket(now) - BUCKETS - a[i + 1] + length
  if left <= 0 or not ring then return end
  a[i + 2], a[i + 3], a[i + 4] = a[i + 2] - math.min(left, length), 0, 0
  if left >= length then
    rings[i] = nil
    return
  end
  ring = sub(ring, 16 * left + 1)
  rings[i] = ring
  for at = 1, #ring, 16 do
    local posted, pending = destruct('<dd', ring, at)
    a[i + 3], a[i + 4] = a[i + 3] + posted, a[i + 4] + pending
  end
end

-- used gives posted plus pending, and posted, of a counter that was slid.
local function used(a, i)
  local all, posted = a[i + 3] + a[i + 4], a[i + 3]
  if all > MOST then return MOST, posted > MOST and MOST or posted end
  return all, posted
end

-- leaves gives the bucket with which at least need of what is used will have left the minute, 0 if nothing is used.
local function leaves(a, i, rings, need)
  local b, sum, ring = 0, 0, rings[i]
  if not ring or a[i + 3] + a[i + 4] <= 0 then return 0 end
  local oldest = a[i + 1] - #ring / 16 + 1
  for at = 0, #ring - 16, 16 do
    local posted, pending = destruct('<dd', ring, at + 1)
    if posted + pending > 0 then
      b, sum = oldest + at / 16, sum + posted + pending
      if sum >= need then return b end
    end
  end
  return b
end

-- reaches reports whether a bucket is in the ring of a minute or newer.
local function reaches(a, i, b) return b > a[i + 1] - BUCKETS end

-- make makes room in a ring for a bucket that it reaches, and gives the ring and where the bucket stands in it.
local function make(a, i, rings, b)
  local ring, newest = rings[i] or '', a[i + 1]
  local length = #ring / 16
  if b > newest or length == 0 then
    ring = b - newest < BUCKETS and length > 0 and ring .. rep(EMPTY, b - newest) or EMPTY
    if #ring > 16 * BUCKETS then -- what leaves goes from the sums too
      for at = 1, #ring - 16 * BUCKETS, 16 do
        local posted, pending = destruct('<dd', ring, at)
        a[i + 3], a[i + 4] = a[i + 3] - posted, a[i + 4] - pending
      end
      ring = sub(ring, -16 * BUCKETS)
    elseif #ring == 16 then
      a[i + 3], a[i + 4] = 0, 0
    end
    newest = b
  elseif b <= newest - length then
    ring = rep(EMPTY, newest - length - b + 1) .. ring
  end
  a[i + 1], a[i + 2] = newest, a[i + 2] - length + #ring / 16
  return ring, #ring - 16 * (newest - b) - 15
end

-- add changes posted and pending in a pinned window, and reports whether it did. What was restarted or has left the minute is
-- passed over.
local function add(a, i, rings, pin, posted, pending)
  if posted == 0 and pending == 0 then return false end
  if pin == 0 then
    local p, q = a[i + 3] + posted, a[i + 4] + pending
    a[i + 3] = p < 0 and 0 or p > MOST and MOST or p
    a[i + 4] = q < 0 and 0 or q
    return true
  end
  local generation = pin % GENERATIONS
  local b = (pin - generation) / GENERATIONS
  if floor(a[i + 2] / 16) ~= generation or not reaches(a, i, b) then return false end
  local ring, at = make(a, i, rings, b)
  local was, held = destruct('<dd', ring, at)
  local p, q = was + posted, held + pending
  p = p < 0 and 0 or p > MOST and MOST or p
  q = q < 0 and 0 or q
  a[i + 3], a[i + 4] = a[i + 3] + p - was, a[i + 4] + q - held
  rings[i] = sub(ring, 1, at - 1) .. structure('<dd', p, q) .. sub(ring, at + 16)
  return true
end

-- minute puts an empty sliding minute last. Its generation tells it from one that it replaces.
local function minute(a, name, b, generation) return insert(a, name, b, 16 * generation) end

-- lost counts again in a pinned window whose counter is missing but should not be, nil if it should.
local function lost(a, name, ends, pin, now)
  if ends == 1 then
    local generation = pin % GENERATIONS
    local b = (pin - generation) / GENERATIONS
    if bucket(now) - b < BUCKETS then return minute(a, name, b, generation) end
  elseif ends > now then
    return insert(a, name, ends, 0)
  end
end

-- amounts gives what four amounts come to in each dimension; concurrent is what they count as in the last.
local function amounts(t, at, concurrent)
  return {t[at], t[at + 1], t[at + 2], t[at + 1] + t[at + 2], t[at + 3], concurrent}
end
