#!lua flags=no-writes
-- Tells how limits stand at a time.
-- KEYS: epoch, counters…
-- ARGV: epoch, time, {window of each}, at or ''
local now = enter()
local windows, counters, answer = unpackall(ARGV[3]), load(2), {OK, now}
local at = ARGV[4] ~= '' and tonumber(ARGV[4]) or now
for i = 1, #counters do
  local all, posted = used(windows[i], counters[i], at)
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3] = all, posted, leaves(windows[i], counters[i], at, 1)
end
return answer
