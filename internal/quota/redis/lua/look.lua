#!lua flags=no-writes
-- Tells how limits stand at a time.
-- KEYS: epoch, accounts… ARGV: epoch, time, lines, at
local raw = call('MGET', unpack(KEYS))
local now = enter(raw[1])
absent(raw, 2, 2)
local k, size = #KEYS - 1, #ARGV[3] / 8
local lines, answer, m, l = numbers(ARGV[3], 1, size), {}, 0, k + 1
for j = 1, k do
  local a, r = account(KEYS[1 + j], raw[1 + j])
  for _ = 1, lines[j] do
    local i = find(a, 3, lines[l + 2], lines[l + 1])
    answer[m + 1], answer[m + 2], answer[m + 3] = 0, 0, 0
    if i then
      slide(a, i, r, tonumber(ARGV[4]))
      answer[m + 1], answer[m + 2] = used(a, i)
      answer[m + 3] = leaves(a, i, r, 1)
    end
    l, m = l + 3, m + 3
  end
end
return {OK, now, text(answer, m)}
