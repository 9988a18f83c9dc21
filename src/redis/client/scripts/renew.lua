-- A process lives; and what nobody else would do. ARGV: …, the last id that a consumer here was handed.
local m = queue('lease', 'hb', 'clock', 'shift')
if not m then return { 'GONE' } end
if m[1] ~= '' then return { 'ENDED' } end
local p, refusal = myself('handed')
if not p then return refusal end
sound()

-- Leases run on a clock of their own: the time in which processes could renew. Of a long time without a renewal, in which
-- Redis was away or nobody was there, it counts little. So an outage costs nobody its lease, and a lost process is found
-- however short the others live.
local lease = num(m[2])
local time = call('TIME')
time = time[1] * 1000 + math.floor(time[2] / 1000) + num(m[5])
-- The server's clock was set back.
local back_by = math.max(0, num(m[3]) - time)
time = time + back_by
local passed = time - num(m[3])
local clock = num(m[4]) + (passed > lease / 2 and lease / 6 or passed)
call('HSET', meta, 'hb', int(time), 'clock', int(clock), 'shift', int(num(m[5]) + back_by))
call('ZADD', procs, 'XX', int(clock + lease), me)
set(me, 'handed', later(ARGV[3], p[2]))

-- If the pointer alone was deleted, a second queue would begin beside this one.
local gen = meta:match(':(%d+):meta$')
if gen then call('SET', pointer, gen, 'NX') end
-- A process that is no more is remembered for a time: see removal.lua.
local forgotten = call('ZRANGE', past, '-inf', int(time), 'BYSCORE', 'LIMIT', '0', '100')
if #forgotten > 0 then
  call('HDEL', was, unpack(forgotten))
  call('ZREM', past, unpack(forgotten))
end

-- What was delayed, also if nobody claims at the moment.
local ripe = ripen(time)
wake_for_items(ripe)
local more = ripe == 100

-- Processes that were silent for too long. One at a time, and none before the last one's items are back.
if call('EXISTS', gone) == 0 then
  local id = call('ZRANGE', procs, '-inf', int(clock), 'BYSCORE', 'LIMIT', '0', '1')[1]
  if id then
    fence(id, '1')
    more = true
  end
end
if call('EXISTS', gone) == 1 then
  sweep()
  more = true
end
finish()
return { 'OK', more and 1 or 0, int(time) }
