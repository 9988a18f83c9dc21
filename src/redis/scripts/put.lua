-- ARGV: …, number of the first item, entries. The only script that needs memory, hence
-- the only one that Redis refuses when it has none left.
local first, given = tonumber(ARGV[3]), #ARGV - 3
local m = queue('cap')
if not m then return { 'GONE' } end
local p, refusal = myself('seq', 'producers')
if not p then return m[1] ~= '' and { 'ENDED' } or refusal end

local seq = tonumber(p[2])
-- What was accepted before is not known to this Redis: an older copy.
if first > seq + 1 then return { 'GAP' } end
-- Before anything else: what was accepted stays accepted, even if the queue has ended since.
local skip = seq + 1 - first
if skip >= given then return { 'OK', seq } end
if m[1] ~= '' then return { 'ENDED' } end
if p[3] == '0' then return { 'CLOSED' } end

local n, cap, ready = given - skip, tonumber(m[2]), P .. 'ready'
local waiting = call('LLEN', ready)
if cap > 0 then n = math.max(0, math.min(n, cap - waiting)) end
if n > 0 then
  each('RPUSH', ready, ARGV, 4 + skip, 3 + skip + n)
  seq = seq + n
  call('HSET', P .. 'proc:' .. me, 'seq', int(seq))
  count('accepted', n)
  wake('wc', n, 'items')
end
if n == given - skip then return { 'OK', seq } end
wait('wp')
return { 'FULL', seq }
