#!lua flags=allow-oom
-- Renews leases and notes what has been used.
-- KEYS: epoch, live reservations, reservations…
-- ARGV: epoch, time, lease, then id and {used × 4} of each
local now = enter()
local touched = {}
for i = 3, #KEYS do
  local raw = call('GET', KEYS[i])
  local head = reservation(KEYS[i], raw)
  if head and head[1] == LIVE then touched[#touched + 1] = {i, head, raw} end
end
for _, t in ipairs(touched) do
  local i, head, raw = t[1], t[2], t[3]
  local used = unpackall(ARGV[2 * i - 1])
  for j = 0, 3 do head[USED + j] = used[1 + j] end
  call('ZADD', KEYS[2], whole(now + ARGV[3]), head[BOOK] .. '/' .. ARGV[2 * i - 2])
  save(KEYS[i], head, raw)
end
return {OK, now}
