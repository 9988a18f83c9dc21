-- ARGV: …, delivery id of the first item, how many at most, in how many bytes, the last id that a consumer here was handed.
-- The process counts its delivery ids, and never says one twice: so no settling ever hits a later delivery, not even on
-- an older copy of this Redis.
local first, max, bytes, handed = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local m = queue('cap')
if not m then return { 'GONE' } end
if m[1] ~= '' then return { 'ENDED' } end
local p, refusal = myself('held', 'suspect', 'handed')
if not p then return refusal end
local fresh, waiting = call('LLEN', ready), call('EXISTS', suspects, back)

local next_due, time = -1, nil
local delayed_first = call('ZRANGE', delayed, '0', '0', 'WITHSCORES')
if delayed_first[1] then
  time = now()
  next_due = math.max(0, delayed_first[2] - time)
end
-- These raise, if they must, before anything is changed.
if fresh + waiting > 0 or next_due == 0 then call('HLEN', inf) end
if waiting > 0 or next_due == 0 then call('LLEN', back) end
if next_due == 0 then waiting = waiting + ripen(time) end

local entries, n, size = {}, 0, 0
-- The first tells how large they are; so the bytes are bounded without a look at each.
local function take(list)
  local most = 1
  while n < max and size < bytes do
    local wanted = math.max(1, math.min(max - n, most))
    local popped = call('LPOP', list, int(wanted)) or {}
    local largest = 1
    for i, entry in ipairs(popped) do
      entries[n + i] = entry
      size = size + #entry
      largest = math.max(largest, #entry)
    end
    n = n + #popped
    if #popped < wanted then return end
    most = math.min(8 * n, math.floor((bytes - size) / largest))
  end
end

-- Of what a lost process held, one at a time: it may be what became of that process.
if waiting > 0 and (num(p[3]) == 0 or call('HEXISTS', inf, me .. '.' .. p[3]) == 0) then
  entries[1] = call('LPOP', suspects) or nil
  if entries[1] then
    n, size = 1, #entries[1]
    set(me, 'suspect', int(first))
  end
end
if waiting > 0 then take(back) end
local returned = n
if fresh > 0 then take(ready) end
local taken = n - returned
if n == 0 then
  redis.pcall('HSET', wc, me, int(max))
  return { 'EMPTY', next_due }
end

-- %d is faster, by a twentieth of all that an item takes, but a Redis of 32 bits has no more than 32 of them.
local held, field = {}, me .. (first + n < 2^31 and '.%d' or '.%.0f')
for i = 1, n do
  held[2 * i - 1] = string.format(field, first + i - 1)
  held[2 * i] = entries[i]
end
each('HSET', inf, held, 1, 2 * n)
set(me, 'held', int(num(p[2]) + n), 'handed', later(handed, p[4]))
-- Others may need the notifications more, and some may be for what is left.
redis.pcall('HDEL', wc, me)
wake_for_items(fresh - taken + (waiting > 0 and call('LLEN', back) or 0))
local cap = num(m[2])
if taken > 0 and cap > 0 then wake_for_room(cap - fresh + taken) end
return { 'ITEMS', entries }
