-- flags: 'no-writes'
-- Lists reservations whose lease ended before a time.
-- KEYS: epoch, live reservations. ARGV: epoch, time, due before or '', most
local now = enter(ARGV, redis.call('GET', KEYS[1]))
local before = ARGV[3] == '' and now or math.min(now, tonumber(ARGV[3]))
return {OK, now, unpack(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', before), 'LIMIT', 0, ARGV[4]))}
