-- ARGV: …, delivery id of the first item, how many at most. The process counts its delivery ids, and
-- never says one twice: so no settling ever hits a later delivery, not even on an older copy of this Redis.
local first, max = tonumber(ARGV[3]), tonumber(ARGV[4])
local m = queue('cap', 'deadline')
if not m then return { 'GONE' } end
if m[1] ~= '' then return { 'ENDED' } end
local p, refusal = myself()
if not p then return refusal end

local next_due = -1
local delayed = call('ZRANGE', P .. 'delayed', '0', '0', 'WITHSCORES')
if delayed[1] then
  local time = now()
  next_due = math.max(0, delayed[2] - time)
  if next_due == 0 then ripen(time) end
end

local ready = P .. 'ready'
local entries = call('LPOP', P .. 'back', int(max)) or {}
local n = #entries
if n < max then
  local fresh = call('LPOP', ready, int(max - n))
  if fresh then
    if n == 0 then
      entries = fresh
    else
      for i, entry in ipairs(fresh) do entries[n + i] = entry end
    end
    n = #entries
    local cap = tonumber(m[2])
    if cap > 0 then wake('wp', math.min(#fresh, cap - call('LLEN', ready)), 'room') end
  end
end
if n == 0 then
  wait('wc')
  return { 'EMPTY', next_due }
end

local held, inflight = {}, P .. 'inf:' .. me
for i = 1, n do
  held[2 * i - 1] = int(first + i - 1)
  held[2 * i] = entries[i]
end
each('HSET', inflight, held, 1, 2 * n)
count('inflight', n)
-- Others may need the hints more.
call('SREM', P .. 'wc', me)
if m[3] ~= '0' then
  -- One member for all: those that are settled by then are not there any more.
  call('ZADD', P .. 'due', int(now() + m[3]), int(first) .. ' ' .. int(n) .. ' ' .. me)
end
return { 'ITEMS', entries }
