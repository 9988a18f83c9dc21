local m = queue()
if not m then return { 'GONE' } end
if m[1] ~= '' then return { 'OK' } end
local p, refusal = myself()
if not p then return refusal end
seal()
finish()
return { 'OK' }
