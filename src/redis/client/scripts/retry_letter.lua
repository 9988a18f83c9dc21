-- Puts the item of a dead letter that a reader had in hand. ARGV: …, what this call is called, the item.
local m = queue('lease')
if not m then return { 'GONE' } end
-- Done before, and the answer was lost. It is remembered as processes are that have left: see removal.lua.
if call('HGET', was, ARGV[3]) then return { 'OK' } end
if m[1] ~= '' then return { 'ENDED', m[1] } end
-- It raises, if it must, before anything is changed.
call('ZCARD', past)
call('LPUSH', back, '0:' .. int(now()) .. ':' .. ARGV[4])
call('HSET', was, ARGV[3], '0')
call('ZADD', past, int(now() + 10 * num(m[2])), ARGV[3])
count('accepted', 1)
count('retried', 1)
wake_for_items(1)
return { 'OK' }
