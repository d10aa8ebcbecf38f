-- flags: 'no-writes'
-- Scans live or expired reservations for those of one book.
-- KEYS: epoch, live or expired reservations. ARGV: epoch, time, cursor, pattern
local now = enter(ARGV, redis.call('GET', KEYS[1]))
local page = redis.call('ZSCAN', KEYS[2], ARGV[3], 'MATCH', ARGV[4], 'COUNT', 500)
local answer = {OK, now, page[1]}
for i = 1, #page[2], 2 do answer[#answer + 1] = page[2][i] end
return answer
