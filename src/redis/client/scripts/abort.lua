-- The items stay under their keys for the retention.
local m = queue()
if not m then return { 'GONE' } end
if m[1] ~= '' then return { 'OK' } end
local p, refusal = myself()
if not p then return refusal end
count('discarded', call('HLEN', inf) + call('ZCARD', left) + call('LLEN', ready) + call('LLEN', suspects)
  + call('LLEN', back) + call('ZCARD', delayed))
call('HSET', meta, 'ended', 'aborted')
over()
return { 'OK' }
