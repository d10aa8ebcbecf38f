-- What all scripts share. Integers only, below 2^53: Lua counts in doubles. Times are microseconds since 1970.
--
-- A counter is a MessagePack array. Of a calendar window and of concurrency: {posted, pending}. Of the sliding minute:
-- {generation, newest bucket, then bucket, posted, pending of each bucket that is not empty, oldest first}.
--
-- A reservation is four MessagePack values one after the other:
--   head   {state, token of the last extend, admitted, held × 4, progress or result × 4, who resolved it, whether over,
--           book, then bucket and generation of each line}
--   lines  {dimension, window, value (-1: does not refuse), end of the window} of each
--   names  of the lines' counters and limits; scripts pass them on
--   first  {held × 4, then used, posted, bucket that leaves first of each line}, as Reserve answered
-- Of a settled or voided one only the head is kept.
--
-- All reads come before the first write, and the first write is one that can fail: a script changes all or nothing.
local LIVE, FINAL, EXPIRED = 1, 2, 3
local CALENDAR, MINUTE, NONE = 0, 1, 2
local OK, REPEATED, RESOLVED, LACKS, UNKNOWN, WRONG_TIME, WRONG_KEYS, AMOUNT, EARLY = 0, 1, 2, 3, 4, 5, 6, 7, 8
local TOKEN, ADMITTED, HELD, USED, BY, OVER, BOOK, PINS = 2, 3, 4, 8, 12, 13, 14, 15
local MOST = 9007199254740991
local BUCKETS, BUCKET = 13, 5000000
local KEEP = '3024000000' -- ms, 35 days: outlasts every window
local LINGER = 3600000     -- ms that a calendar window stays after its end, for calls that began in it
local floor, max, min = math.floor, math.max, math.min
local call, pack, unpackall = redis.call, cmsgpack.pack, cmsgpack.unpack

local function foreign(key)
  error({err = 'FOREIGN ' .. key})
end

-- enter refuses a call for another epoch, and gives the time.
local function enter(epoch)
  if (epoch or call('GET', KEYS[1])) ~= ARGV[1] then error({err = 'EPOCH not in force'}) end
  if ARGV[2] ~= '' then return tonumber(ARGV[2]) end
  local t = call('TIME')
  return t[1] * 1000000 + t[2]
end

-- load gives the counters of the keys from one on, false where there is none.
local function load(from)
  local got, absent = {}, {}
  if #KEYS < from then return got end
  local raw = call('MGET', unpack(KEYS, from))
  for i = 1, #raw do
    if raw[i] then
      local ok, c = pcall(unpackall, raw[i])
      if not ok or type(c) ~= 'table' or type(c[1]) ~= 'number' or type(c[2]) ~= 'number' then foreign(KEYS[from + i - 1]) end
      got[i] = c
    else
      got[i] = false
      absent[#absent + 1] = KEYS[from + i - 1]
    end
  end
  -- MGET takes a key of another type for none.
  if #absent > 0 and call('EXISTS', unpack(absent)) > 0 then foreign(absent[1]) end
  return got
end

-- reservation gives head and lines of a record, nil if there is none, and where the rest of it begins.
local function reservation(key, raw)
  if not raw then return nil end
  local ok, rest, head, lines = pcall(cmsgpack.unpack_limit, raw, 2, 0)
  if not ok or type(head) ~= 'table' or type(head[ADMITTED]) ~= 'number' then foreign(key) end
  return head, lines, rest
end

-- open does both with one command. MGET takes a key of another type for none; what is then written refuses it.
local function open()
  local raw = call('MGET', KEYS[1], KEYS[2])
  local now = enter(raw[1])
  local head, lines, rest = reservation(KEYS[2], raw[2])
  return now, raw[2], head, lines, rest
end

-- whole writes an integer for a command: faster and safer than Lua's own way with doubles.
local function whole(n) return string.format('%d', n) end

-- save gives a record with another head.
local function save(key, head, raw)
  local at = cmsgpack.unpack_one(raw, 0)
  call('SET', key, pack(head) .. string.sub(raw, at + 1), 'PX', KEEP)
end

-- store keeps a counter. How long it is kept was set when it was new; that of a minute grows with its newest bucket.
local function store(key, window, c, ends, now, anew)
  if window == NONE and c[2] <= 0 then return call('DEL', key) end
  if not anew then return call('SET', key, pack(c), 'KEEPTTL') end
  local keep = KEEP
  if window == MINUTE then
    keep = whole(max(((c[2] + BUCKETS) * BUCKET - now) / 1000, 0) + 60000)
  elseif window == CALENDAR then
    keep = whole(max((ends - now) / 1000, 0) + LINGER)
  end
  return call('SET', key, pack(c), 'PX', keep)
end

-- amounts gives what four amounts come to in each dimension; concurrent is what they count as in the last.
local function amounts(t, at, concurrent)
  return {t[at], t[at + 1], t[at + 2], t[at + 1] + t[at + 2], t[at + 3], concurrent}
end

local function bucket(at) return floor(at / BUCKET) end

-- reaches reports whether a bucket is in the ring or newer.
local function reaches(c, b) return b > c[2] - BUCKETS end

-- oldest gives the first bucket that is in the minute.
local function oldest(c, now) return max(c[2], bucket(now)) - BUCKETS + 1 end

-- used gives posted plus pending, and posted.
local function used(window, c, now)
  if not c then return 0, 0 end
  if window ~= MINUTE then return min(c[1] + c[2], MOST), c[1] end
  local posted, all, from = 0, 0, oldest(c, now)
  for i = 3, #c, 3 do
    if c[i] >= from then
      posted = posted + c[i + 1]
      all = all + c[i + 1] + c[i + 2]
    end
  end
  return min(all, MOST), min(posted, MOST)
end

-- leaves gives the bucket with which at least need of what is used will have left the minute, 0 if nothing is used.
local function leaves(window, c, now, need)
  local b, sum = 0, 0
  if window ~= MINUTE or not c then return b end
  local from = oldest(c, now)
  for i = 3, #c, 3 do
    local n = c[i + 1] + c[i + 2]
    if c[i] >= from and n > 0 and sum < need then b, sum = c[i], sum + n end
  end
  return b
end

-- make gives where a bucket stands, which c reaches, and makes room for it.
local function make(c, b)
  c[2] = max(c[2], b)
  while c[3] and not reaches(c, c[3]) do
    for _ = 1, 3 do table.remove(c, 3) end
  end
  local i = 3
  while c[i] and c[i] < b do i = i + 3 end
  if c[i] ~= b then
    for _ = 1, 3 do table.insert(c, i, 0) end
    c[i] = b
  end
  return i
end

-- add changes posted and pending in a pinned window, and reports whether it did. What was restarted or has left the
-- minute is passed over.
local function add(window, c, b, generation, posted, pending)
  if posted == 0 and pending == 0 then return false end
  local i = 0
  if window == MINUTE then
    if c[1] ~= generation or not reaches(c, b) then return false end
    i = make(c, b)
  end
  c[i + 1] = max(0, min(c[i + 1] + posted, MOST))
  c[i + 2] = max(0, c[i + 2] + pending)
  return true
end

-- lost gives what to count in where the counter of a pinned window is missing but should not be, else false.
local function lost(window, b, generation, ends, now)
  if window == CALENDAR and ends > now then return {0, 0} end
  if window == MINUTE and bucket(now) - b < BUCKETS then return {generation, b} end
  return false
end
