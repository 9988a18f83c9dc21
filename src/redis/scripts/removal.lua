-- How a process goes. At first, in one step, it ceases to be one: it is fenced, and its endpoints are
-- closed. Then its items go back, a bounded number at a time, while `gone` remembers it. Until the last
-- one is back they count as in flight, so the queue cannot end before.

-- `lost`: '1' if it was silent for too long, '0' if it leaves.
local function fence(process, lost)
  local key, letters = P .. 'proc:' .. process, P .. 'let:' .. process
  local p = call('HMGET', key, 'name', 'seq', 'producers', 'consumers', 'opener')
  local ended = call('HGET', meta, 'ended') ~= ''
  if not ended then
    -- Whoever was fenced asks which of its puts were accepted, from now on.
    call('HSET', P .. 'was', process, p[2])
    call('ZADD', P .. 'past', int(now()), process)
  end
  call('ZREM', P .. 'procs', process)
  call('SREM', P .. 'wc', process)
  call('SREM', P .. 'wp', process)
  count('producers', -p[3])
  count('consumers', -p[4])
  count('openers', -p[5])
  if lost == '1' then
    count('lost_producers', tonumber(p[3]))
    count('lost_processes', 1)
    -- Letters that it may not have seen are for others to read.
    while call('LMOVE', letters, P .. 'dead', 'RIGHT', 'LEFT') do end
  end
  call('DEL', key, letters)
  if not ended and call('EXISTS', P .. 'inf:' .. process) == 1 then
    call('HSET', key, 'name', p[1], 'lost', lost)
    call('ZADD', P .. 'gone', int(now()), process)
  end
  seal_if_unowned()
  call('PUBLISH', P .. 'all', 'state')
end

-- Brings items of a fenced process back: whether that is done. A hash has no order, so they go through
-- a sorted set: first all into it, then out of it in the order in which they had been claimed.
local function sweep(process)
  local key, inflight, sorted = P .. 'proc:' .. process, P .. 'inf:' .. process, P .. 'left:' .. process
  local held = call('HRANDFIELD', inflight, '1000', 'WITHVALUES')
  local ids, members = {}, {}
  for i = 1, #held, 2 do
    ids[#ids + 1] = held[i]
    members[i], members[i + 1] = held[i], held[i] .. '|' .. held[i + 1]
  end
  if #ids > 0 then
    each('HDEL', inflight, ids, 1, #ids)
    each('ZADD', sorted, members, 1, #members)
  end
  if call('EXISTS', inflight) == 1 then return false end

  local popped = call('ZPOPMIN', sorted, '1000')
  local name, lost = unpack(call('HMGET', key, 'name', 'lost'))
  local max = tonumber(call('HGET', meta, 'attempts'))
  local back = {}
  for i = 1, #popped, 2 do
    local entry = popped[i]:match('^%d+|(.*)$')
    if lost == '1' then lapse(entry, max, name, 0, {}) else back[#back + 1] = entry end
  end
  push('back', back, 1, #back)
  count('redelivered', #back)
  count('inflight', -#popped / 2)
  wake('wc', #popped / 2, 'items')
  if call('EXISTS', sorted) == 1 then return false end
  call('ZREM', P .. 'gone', process)
  call('DEL', key)
  return true
end
