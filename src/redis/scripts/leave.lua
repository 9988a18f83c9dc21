-- Again and again until it says OK.
local m = queue()
if not m then return { 'GONE' } end
local p = call('HMGET', P .. 'proc:' .. me, 'conn', 'lost')
if p[1] and p[1] ~= conn then return { 'STALE' } end
if p[1] then fence(me, '0') end
-- It was here before, or others have found it lost: they would do the rest, too.
if m[1] == '' and call('ZSCORE', P .. 'gone', me) and not sweep(me) then return { 'MORE' } end
finish()
-- It may go, unless somebody comes within the retention.
if deserted() then expire() end
return { 'OK' }
