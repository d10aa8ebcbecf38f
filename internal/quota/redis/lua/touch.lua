-- flags: 'allow-oom'
-- Renews leases and notes what has been used.
-- KEYS: epoch, live reservations, reservations…
-- ARGV: epoch, time, lease, {used * 6 of each}
local now = enter(ARGV, redis.call('GET', KEYS[1]))
local heads, raw = {}, {}
for i = 3, #KEYS do
  raw[i] = redis.call('GET', KEYS[i])
  heads[i] = raw[i] and reservation(KEYS[i], raw[i])
end
for i = 3, #KEYS do
  if heads[i] and heads[i][1] == LIVE then
    local used = string.sub(ARGV[4], 48 * (i - 3) + 1, 48 * (i - 2))
    redis.call('ZADD', KEYS[2], whole(now + ARGV[3]), member_of(heads[i], raw[i]))
    redis.call('SET', KEYS[i], string.sub(raw[i], 1, 8 * USED - 8) .. used .. string.sub(raw[i], 8 * USED + 41), 'PX', KEEP)
  end
end
return {OK, now}
