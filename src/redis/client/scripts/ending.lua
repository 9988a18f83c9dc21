-- How a queue is sealed and how it ends: decided here and nowhere else.

-- Nobody and nothing is in the queue.
local function deserted()
  return call('EXISTS', procs, gone, inf, left, ready, suspects, back, delayed) == 0
end

-- All that is left of the queue goes after the retention. Before, nothing of it has an expiry: it waits for
-- processes for as long as it takes. Its dead letters stay until they are read.
local function expire()
  local retention = int(num(call('HGET', meta, 'retention')))
  for _, key in ipairs({ meta, procs, proc, gone, inf, left, ready, suspects, back, delayed, was, past, wc, wp }) do
    call('PEXPIRE', key, retention)
  end
  if call('GET', pointer) == meta:match(':(%d+):meta$') then call('PEXPIRE', pointer, retention) end
end

-- It has just ended.
local function over()
  call('DEL', wc, wp)
  expire()
  tell_all('end')
end

local function finish()
  local m = call('HMGET', meta, 'ended', 'sealed', 'producers')
  if m[1] ~= '' or m[2] ~= '1' or num(m[3]) > 0 then return end
  if call('EXISTS', inf, left, ready, suspects, back, delayed) > 0 then return end
  -- All is settled, unless keys were deleted or evicted: that is no completion. More than was accepted was put by hand.
  local n = call('HMGET', meta, 'accepted', 'acked', 'taken', 'dead', 'discarded')
  local missing = num(n[1]) - num(n[2]) - num(n[3]) - num(n[4]) - num(n[5])
  count(missing > 0 and 'discarded' or 'accepted', math.abs(missing))
  call('HSET', meta, 'ended', missing > 0 and 'aborted' or 'complete')
  over()
end

local function seal()
  if call('HGET', meta, 'sealed') == '1' then return end
  call('HSET', meta, 'sealed', '1')
  tell_all('state')
end

-- Nobody is left who could open an endpoint. That seals the queue only if its processes asked for it: they
-- may all have been stopped to be started anew.
local function seal_if_unowned()
  local m = call('HMGET', meta, 'seal_when_unowned', 'openers')
  if m[1] == '1' and num(m[2]) <= 0 then seal() end
end
