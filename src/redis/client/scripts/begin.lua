-- Begins a queue, or that of the dead letters of a queue. KEYS: … ARGV: …, the number of the queue in the place of which
-- it begins ('' = none), its own ('' = it is that of dead letters, which none points to).
local before, gen = ARGV[3], ARGV[4]
if gen ~= '' then
  if (call('GET', pointer) or '') ~= before then return { 'AGAIN' } end
  -- A clock that was set back must not lead into the keys of an earlier queue.
  if call('EXISTS', meta) == 1 then return { 'TAKEN' } end
end
local time = call('TIME')
time = int(time[1] * 1000 + math.floor(time[2] / 1000))
for field, value in pairs({ format = FORMAT, ended = '', hb = time, clock = time, accepted = int(call('LLEN', ready)) }) do
  call('HSETNX', meta, field, value)
end
for _, field in ipairs({ 'sealed', 'shift', 'next', 'producers', 'consumers', 'openers', 'acked', 'taken', 'dead', 'discarded',
  'redelivered', 'retried', 'lost_producers', 'lost_processes' }) do
  call('HSETNX', meta, field, '0')
end
if gen ~= '' then call('SET', pointer, gen) end
return { 'OK' }
