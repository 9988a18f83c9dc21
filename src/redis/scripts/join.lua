-- KEYS[1]: the pointer to the current generation, not `meta`.
-- ARGV: process, connection, its name, generation ('' = the current one, or a new one), then the
-- settings: capacity, attempts, lease, retention, deadline.
local pointer, name, gen = KEYS[1], ARGV[3], ARGV[4]
local fields = { 'cap', 'attempts', 'lease', 'retention', 'deadline' }
local lease, retention = tonumber(ARGV[7]), tonumber(ARGV[8])
local time = now()

local function at(generation)
  P = pointer .. ':' .. generation .. ':'
  meta = P .. 'meta'
end

local function begin()
  local t = call('TIME')
  local number = t[1] * 1000000 + t[2]
  -- A clock that was set back must not lead into the keys of an earlier generation.
  repeat
    gen = string.format('%.0f', number)
    at(gen)
    number = number + 1
  until call('EXISTS', meta) == 0
  call('HSET', meta, 'sealed', 0, 'ended', '', 'next', 0, 'inflight', 0, 'producers', 0, 'consumers', 0,
    'openers', 0, 'accepted', 0, 'acked', 0, 'taken', 0, 'dead', 0, 'discarded', 0, 'redelivered', 0,
    'lost_producers', 0, 'lost_processes', 0, 'hb', time, 'grace', 0)
  for i, field in ipairs(fields) do call('HSET', meta, field, ARGV[4 + i]) end
  call('PEXPIRE', meta, retention)
  call('SET', pointer, gen, 'PX', retention)
end

if gen ~= '' then
  -- A fenced process comes back to the queue that it knew, never to another one.
  at(gen)
  local ended = call('HGET', meta, 'ended')
  if not ended then return { 'GONE' } end
  if ended ~= '' then return { 'ENDED' } end
else
  gen = call('GET', pointer)
  if gen then at(gen) end
  if not gen or call('HGET', meta, 'ended') ~= '' then begin() end
end

for i, field in ipairs(fields) do
  local theirs = call('HGET', meta, field)
  if theirs ~= ARGV[4 + i] then return { 'MISMATCH', field, theirs, ARGV[4 + i] } end
end
-- Gone already: this call was under way for longer than its process lived.
if call('EXISTS', P .. 'was:' .. me) == 1 then return { 'FENCED' } end
-- Asked again, as the answer was lost?
if call('ZADD', P .. 'procs', 'NX', time + lease, me) == 1 then
  call('HSET', P .. 'proc:' .. me, 'name', name, 'conn', conn, 'seq', 0, 'batch', 0, 'late', 0, 'letters', 0,
    'producers', 0, 'consumers', 0, 'opener', 1, 'names', '[]', 'since', time)
  count('openers', 1)
  keep(P .. 'proc:' .. me, 2)
  keep(P .. 'procs')
  call('PUBLISH', P .. 'all', 'state')
end
return { 'OK', gen }
