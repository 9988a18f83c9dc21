-- The first call through each further connection. Calls through earlier ones are STALE from now on.
if not queue() then return { 'GONE' } end
local key = P .. 'proc:' .. me
local p = call('HMGET', key, 'conn', 'seq', 'batch')
if not p[1] then return { 'FENCED' } end
if tonumber(p[1]) > tonumber(conn) then return { 'STALE' } end
call('HSET', key, 'conn', conn)
-- A sign of life. Only `renew` sets `hb`: it tells how long nobody could renew.
call('ZADD', P .. 'procs', 'XX', int(now() + call('HGET', meta, 'lease')), me)
return { 'OK', tonumber(p[2]), tonumber(p[3]) }
