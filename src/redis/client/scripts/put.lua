-- ARGV: …, number of the first item, entries. The only script that needs memory, hence
-- the only one that Redis refuses when it has none left.
local first, given = tonumber(ARGV[3]), #ARGV - 3
local m = queue('cap')
if not m then return { 'GONE' } end
local p, refusal = myself('seq', 'producers')
if not p then return m[1] ~= '' and { 'ENDED' } or refusal end

local seq = num(p[2])
-- What was accepted before is not known to this Redis: an older copy.
if first > seq + 1 then return { 'GAP' } end
-- Before anything else: what was accepted stays accepted, even if the queue has ended since.
local skip = seq + 1 - first
if skip >= given then return { 'OK', seq, -1 } end
if m[1] ~= '' then return { 'ENDED' } end
if num(p[3]) == 0 then return { 'CLOSED' } end

local n, cap, waiting = given - skip, num(m[2]), call('LLEN', ready)
if cap > 0 then n = math.max(0, math.min(n, cap - waiting)) end
if n > 0 then
  each('RPUSH', ready, ARGV, 4 + skip, 3 + skip + n)
  seq = seq + n
  set(me, 'seq', int(seq))
  count('accepted', n)
  wake_for_items(n)
end
if n < given - skip then
  redis.pcall('SADD', wp, me)
  return { 'FULL', seq }
end
-- How much room is left; -1 if there is no end of it.
local room = cap > 0 and cap - waiting - n or -1
wake_for_room(room)
return { 'OK', seq, room }
