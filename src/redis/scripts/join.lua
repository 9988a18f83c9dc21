-- KEYS[1]: the pointer to the current generation, not `meta`.
-- ARGV: process, connection, its name, generation ('' = the current one, or a new one), then the
-- settings: capacity, attempts, lease, retention, deadline, whether it seals itself.
local pointer, name, gen = KEYS[1], ARGV[3], ARGV[4]
local again = gen ~= ''
local fields = { 'cap', 'attempts', 'lease', 'retention', 'deadline', 'seal_when_unowned' }
local lease = tonumber(ARGV[7])
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
    gen = int(number)
    at(gen)
    number = number + 1
  until call('EXISTS', meta) == 0
  for _, field in ipairs({ 'sealed', 'next', 'inflight', 'producers', 'consumers', 'openers', 'accepted', 'acked',
    'taken', 'dead', 'discarded', 'redelivered', 'lost_producers', 'lost_processes', 'grace' }) do
    call('HSET', meta, field, '0')
  end
  call('HSET', meta, 'ended', '', 'hb', int(time))
  call('SET', pointer, gen)
end

if again then
  -- A fenced process comes back to the queue that it knew, never to another one.
  at(gen)
  local ended = call('HGET', meta, 'ended')
  if not ended then return { 'GONE' } end
  if ended ~= '' then return { 'ENDED' } end
else
  gen = call('GET', pointer)
  if gen then at(gen) end
  if not gen or call('HGET', meta, 'ended') ~= '' then begin() end
  -- With nobody and nothing in it a queue takes the settings of whoever comes.
  if deserted() then
    for i, field in ipairs(fields) do call('HSET', meta, field, ARGV[4 + i]) end
  end
end

for i, field in ipairs(fields) do
  local theirs = call('HGET', meta, field)
  if theirs ~= ARGV[4 + i] then
    -- It was deserted while a process was away that comes back: this is not the queue that it knew.
    return again and { 'GONE' } or { 'MISMATCH', field, theirs, ARGV[4 + i] }
  end
end
-- Gone already: this call was under way for longer than its process lived.
if call('HGET', P .. 'was', me) then return { 'FENCED' } end
-- If it was left empty: see leave.lua.
for _, key in ipairs(SHARED) do call('PERSIST', P .. key) end
call('PERSIST', pointer)
-- Asked again, as the answer was lost?
if call('ZADD', P .. 'procs', 'NX', int(time + lease), me) == 1 then
  call('HSET', P .. 'proc:' .. me, 'name', name, 'conn', conn, 'seq', '0', 'batch', '0', 'late', '0', 'letters', '0',
    'producers', '0', 'consumers', '0', 'opener', '1', 'names', '[]', 'since', int(time))
  count('openers', 1)
  call('PUBLISH', P .. 'all', 'state')
end
return { 'OK', gen }
