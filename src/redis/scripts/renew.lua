-- A process lives; and what nobody else would do. ARGV: …, the delays (ms) after attempt 1, 2, …; the
-- last one is for all further ones.
local m = queue('lease', 'retention', 'hb', 'grace', 'attempts')
if not m then return { 'GONE' } end
if m[1] ~= '' then return { 'ENDED' } end
local p, refusal = myself()
if not p then return refusal end

local time, lease, retention, grace = now(), tonumber(m[2]), tonumber(m[3]), tonumber(m[5])
-- Nobody could renew: this Redis was away. All get the time to come back.
if time - m[4] > lease / 2 then grace = time + lease end
call('HSET', meta, 'hb', int(time), 'grace', int(grace))
call('ZADD', P .. 'procs', 'XX', int(time + lease), me)

-- If the pointer alone was deleted, a second queue would begin beside this one.
local pointer, gen = P:match('^(.*):(%d+):$')
call('SET', pointer, gen, 'NX')
-- Who is no more is remembered for the retention.
local past = call('ZRANGE', P .. 'past', '-inf', int(time - retention), 'BYSCORE', 'LIMIT', '0', '100')
if #past > 0 then
  call('HDEL', P .. 'was', unpack(past))
  call('ZREM', P .. 'past', unpack(past))
end

-- What was delayed, also if nobody claims at the moment.
local woken = ripen(time)
local more = woken == 100

-- Deadlines: what is still with the process that claimed it comes back.
local delays = {}
for i = 3, #ARGV do delays[i - 2] = ARGV[i] end
local due, seen = P .. 'due', 0
while true do
  local member = call('ZRANGE', due, '-inf', int(time), 'BYSCORE', 'LIMIT', '0', '1')[1]
  if not member then break end
  if seen >= 1000 then more = true break end
  call('ZREM', due, member)
  local first, n, process = member:match('^(%d+) (%d+) (.*)$')
  first, n = tonumber(first), tonumber(n)
  local inflight, ids = P .. 'inf:' .. process, {}
  for i = 1, n do ids[i] = int(first + i - 1) end
  seen = seen + n
  local entries = call('HMGET', inflight, unpack(ids))
  local name = call('HGET', P .. 'proc:' .. process, 'name') or process
  local lapsed = {}
  for i, entry in ipairs(entries) do
    if entry then
      lapse(entry, tonumber(m[6]), name, time, delays)
      lapsed[#lapsed + 1] = ids[i]
    end
  end
  each('HDEL', inflight, lapsed, 1, #lapsed)
  count('inflight', -#lapsed)
  woken = woken + #lapsed
end
wake('wc', woken, 'items')

-- Who was silent for too long. One at a time, and none before the last one's items are back.
local process = call('ZRANGE', P .. 'gone', '0', '0')[1]
if not process and time >= grace then
  process = call('ZRANGE', P .. 'procs', '-inf', int(time), 'BYSCORE', 'LIMIT', '0', '1')[1]
  if process then fence(process, '1') end
end
if process then
  if call('ZSCORE', P .. 'gone', process) then sweep(process) end
  more = true
end
finish()
return { 'OK', more and 1 or 0 }
