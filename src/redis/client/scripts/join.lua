-- ARGV: …, its name, the number of the queue that it believes to be the current one ('' = it comes back to the one that it
-- knew), then the settings: capacity, attempts, lease, retention, whether it seals itself.
local name, gen = ARGV[3], ARGV[4]
local again = gen == ''
local fields = { 'cap', 'attempts', 'lease', 'retention', 'seal_when_unowned' }
local letters = meta == letter_meta

if not again and not letters and (call('GET', pointer) or '') ~= gen then return { 'AGAIN' } end
local m = queue('format', 'clock')
-- A fenced process comes back to the queue that it knew, never to another one.
if not m then return { again and 'GONE' or 'NONE' } end
if m[1] ~= '' then return { again and 'ENDED' or 'NONE' } end
if m[2] ~= FORMAT then return { 'MISMATCH', 'format', m[2] or '', FORMAT } end
-- With nobody and nothing in it a queue takes the settings of the process that comes. Dead letters outlive the queue
-- that they are of, so theirs are always those of the process that came last.
if letters or not again and deserted() then
  for i, field in ipairs(fields) do call('HSET', meta, field, ARGV[4 + i]) end
end
for i, field in ipairs(fields) do
  local theirs = call('HGET', meta, field)
  if theirs ~= ARGV[4 + i] then
    -- It was deserted while a process was away that comes back: this is not the queue that it knew.
    return again and { 'GONE' } or { 'MISMATCH', field, theirs or '', ARGV[4 + i] }
  end
end
-- Gone already: this call was under way for longer than its process lived.
if call('HGET', was, me) then return { 'FENCED' } end
-- If it was left empty: see leave.lua.
for _, key in ipairs(KEYS) do call('PERSIST', key) end
-- Asked again, as the answer was lost?
if call('ZADD', procs, 'NX', int(num(m[3]) + num(ARGV[7])), me) == 1 then
  set(me, 'name', name, 'conn', conn, 'seq', '0', 'batch', '0', 'late', '0', 'producers', '0', 'consumers', '0',
    'opener', '1', 'names', '[]', 'since', int(now()), 'held', '0', 'handed', '0', 'suspect', '0')
  count('openers', 1)
  tell_all('state')
end
return { 'OK', int(now()) }
