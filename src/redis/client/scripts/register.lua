-- ARGV: …, producers, consumers, opener (0/1), names of producers (JSON). Absolute numbers, so that it
-- can be said again.
local producers, consumers, opener = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local m = queue('sealed')
if not m then return { 'GONE' } end
if m[1] ~= '' then return { 'ENDED' } end
local p, refusal = myself('producers', 'consumers', 'opener')
if not p then return refusal end

local answer = 'OK'
if m[2] == '1' and producers > num(p[2]) then
  producers, answer = num(p[2]), 'SEALED'
end
set(me, 'producers', int(producers), 'consumers', int(consumers), 'opener', int(opener), 'names', ARGV[6])
count('producers', producers - num(p[2]))
count('consumers', consumers - num(p[3]))
count('openers', opener - num(p[4]))
-- A notification that this process would not follow is for others.
if consumers == 0 then redis.pcall('HDEL', wc, me) end
seal_if_unowned()
finish()
return { answer, producers }
