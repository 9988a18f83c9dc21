-- Changes nothing, and asks for no membership.
local fields = { 'ended', 'sealed', 'inflight', 'producers', 'consumers', 'openers', 'accepted', 'acked', 'taken',
  'dead', 'discarded', 'redelivered', 'lost_producers', 'lost_processes' }
local m = call('HMGET', meta, 'lease', unpack(fields))
if not m[2] then return { 'GONE' } end
local lease, time = tonumber(table.remove(m, 1)), now()

-- What an abort left under its keys is discarded, and no longer waits.
local waiting = { 0, 0, 0 }
if m[1] ~= 'aborted' then
  waiting = { call('LLEN', P .. 'ready'), call('LLEN', P .. 'back'), call('ZCARD', P .. 'delayed') }
end
local processes = {}
-- The most silent ones first.
local procs = call('ZRANGE', P .. 'procs', '0', '49', 'WITHSCORES')
for i = 1, #procs, 2 do
  local process = procs[i]
  local p = call('HMGET', P .. 'proc:' .. process, 'name', 'producers', 'consumers', 'opener', 'names', 'since')
  processes[#processes + 1] = { process, p[1], p[2], p[3], p[4], p[5], math.max(0, time - p[6]),
    call('HLEN', P .. 'inf:' .. process), math.max(0, time + lease - procs[i + 1]) }
end
return { 'OK', m, waiting, call('LLEN', P .. 'dead'), processes }
