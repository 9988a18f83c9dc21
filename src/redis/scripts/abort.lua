-- The items stay under their keys for the retention.
local m = queue('inflight')
if not m then return { 'GONE' } end
if m[1] ~= '' then return { 'OK' } end
local p, refusal = myself()
if not p then return refusal end
count('discarded', m[2] + call('LLEN', P .. 'ready') + call('LLEN', P .. 'back') + call('ZCARD', P .. 'delayed'))
call('HSET', meta, 'ended', 'aborted', 'inflight', '0')
over()
return { 'OK' }
