-- Again and again until it says OK.
local m = queue()
if not m then return { 'GONE' } end
sound()
local p = process(me, 'conn', 'lost')
if p[1] and p[1] ~= conn then return { 'STALE' } end
if p[1] then fence(me, '0') end
-- It was here before, or others have found it lost: they would do the rest, too.
if m[1] == '' and call('ZSCORE', gone, me) then
  -- Those that went before have their turn before.
  sweep()
  if call('ZSCORE', gone, me) then return { 'MORE' } end
end
finish()
-- It may go, unless a process comes within the retention.
if deserted() then expire() end
return { 'OK' }
