#!lua flags=allow-oom
-- Renews leases and notes what has been used.
-- KEYS: epoch, live reservations, reservations…
-- ARGV: epoch, time, lease, {used * 4 of each}
local now, used = enter(call('GET', KEYS[1])), numbers(ARGV[4], 1, #ARGV[4] / 8)
local heads, raw = {}, {}
for i = 3, #KEYS do
  raw[i] = call('GET', KEYS[i])
  heads[i] = reservation(KEYS[i], raw[i])
end
for i = 3, #KEYS do
  local head = heads[i]
  if head and head[1] == LIVE then
    for j = 0, 3 do head[USED + j] = used[4 * (i - 3) + 1 + j] end
    call('ZADD', KEYS[2], whole(now + ARGV[3]), member_of(head, raw[i]))
    call('SET', KEYS[i], text(head, HEAD) .. sub(raw[i], 8 * HEAD + 1), 'PX', KEEP)
  end
end
return {OK, now}
