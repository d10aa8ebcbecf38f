-- flags: 'no-writes'
-- Reads accounts. KEYS: epoch, accounts… ARGV: epoch, time
local raw = redis.call('MGET', unpack(KEYS))
local now = enter(ARGV, raw[1])
absent(KEYS, raw, 2, 2)
for i = 2, #KEYS do raw[i] = raw[i] or '' end
return {OK, now, unpack(raw, 2, #KEYS)}
