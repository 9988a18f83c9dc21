-- Changes nothing, and asks for no membership.
local fields = { 'ended', 'sealed', 'producers', 'consumers', 'openers', 'accepted', 'acked', 'taken', 'dead',
  'discarded', 'redelivered', 'retried', 'lost_producers', 'lost_processes' }
local m = call('HMGET', meta, 'lease', 'clock', 'hb', unpack(fields))
if not m[4] then return { 'GONE' } end
local lease, clock, hb = num(table.remove(m, 1)), num(table.remove(m, 1)), num(table.remove(m, 1))
for i = 2, #fields do m[i] = int(math.max(0, num(m[i]))) end
local time = now()

-- What an abort left under its keys is discarded, and no longer waits.
local waiting, oldest = { 0, 0, 0, 0 }, -1
if m[1] ~= 'aborted' then
  waiting = { call('HLEN', inf) + call('ZCARD', left), call('LLEN', ready), call('LLEN', suspects) + call('LLEN', back),
    call('ZCARD', delayed) }
  for _, list in ipairs({ suspects, back, ready }) do
    local entry = call('LINDEX', list, '0')
    local put = entry and num(entry:match('^%d+:(%d+):')) or 0
    if put > 0 then oldest = math.max(oldest, time - put) end
  end
end
local processes = {}
-- The most silent ones first.
local silent = call('ZRANGE', procs, '0', '49', 'WITHSCORES')
for i = 1, #silent, 2 do
  local id = silent[i]
  local p = process(id, 'name', 'producers', 'consumers', 'opener', 'names', 'since', 'held')
  processes[#processes + 1] = { id, p[1] or id, math.max(0, num(p[2])), math.max(0, num(p[3])), num(p[4]) > 0 and 1 or 0, p[5] or '[]',
    math.max(0, time - num(p[6])), math.max(0, num(p[7])),
    math.max(0, clock + lease - num(silent[i + 1])) + math.max(0, time - hb) }
end
return { 'OK', m, waiting, call('LLEN', letter_ready), oldest, processes }
