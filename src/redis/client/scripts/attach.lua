-- The first call through each further connection. Calls through earlier ones are STALE from now on.
local m = queue('lease', 'clock')
if not m then return { 'GONE' } end
local p = process(me, 'conn', 'seq', 'batch')
if not p[1] then return { 'FENCED' } end
if num(p[1]) > tonumber(conn) then return { 'STALE' } end
set(me, 'conn', conn)
-- A sign of life. Only `renew` moves the clock by which leases run.
call('ZADD', procs, 'XX', int(num(m[3]) + num(m[2])), me)
return { 'OK', num(p[2]), num(p[3]) }
