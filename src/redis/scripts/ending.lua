-- How a queue is sealed and how it ends: decided here and nowhere else.

-- All that is left of the queue goes after the retention. Before, nothing of it has an expiry: it waits for
-- processes for as long as it takes.
local function expire()
  local retention = call('HGET', meta, 'retention')
  for _, name in ipairs(SHARED) do call('PEXPIRE', P .. name, retention) end
  for _, set in ipairs({ 'procs', 'gone' }) do
    for _, process in ipairs(call('ZRANGE', P .. set, '0', '-1')) do
      for _, kind in ipairs({ 'proc:', 'inf:', 'let:', 'left:' }) do
        call('PEXPIRE', P .. kind .. process, retention)
      end
    end
  end
  local pointer, gen = P:match('^(.*):(%d+):$')
  if call('GET', pointer) == gen then call('PEXPIRE', pointer, retention) end
end

-- It has just ended.
local function over()
  call('DEL', P .. 'wc', P .. 'wp', P .. 'due')
  expire()
  call('PUBLISH', P .. 'all', 'end')
end

local function finish()
  local m = call('HMGET', meta, 'ended', 'sealed', 'producers', 'inflight')
  if m[1] ~= '' or m[2] ~= '1' or m[3] ~= '0' or m[4] ~= '0' then return end
  if call('EXISTS', P .. 'ready', P .. 'back', P .. 'delayed') > 0 then return end
  -- All is settled, unless keys were deleted or evicted: that is no completion.
  local n = call('HMGET', meta, 'accepted', 'acked', 'taken', 'dead', 'discarded')
  local missing = n[1] - n[2] - n[3] - n[4] - n[5]
  if missing ~= 0 then call('HINCRBY', meta, 'discarded', int(missing)) end
  call('HSET', meta, 'ended', missing == 0 and 'complete' or 'aborted')
  over()
end

local function seal()
  if call('HGET', meta, 'sealed') == '1' then return end
  call('HSET', meta, 'sealed', '1')
  call('PUBLISH', P .. 'all', 'state')
end

-- Nobody is left who could open an endpoint. That seals the queue only if its processes asked for it: they
-- may all have been stopped to be started anew.
local function seal_if_unowned()
  local m = call('HMGET', meta, 'seal_when_unowned', 'openers')
  if m[1] == '1' and m[2] == '0' then seal() end
end
