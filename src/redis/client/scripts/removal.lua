-- How a process goes. At first, in one step, it ceases to be one: it is fenced, and its endpoints are
-- closed. Then its items go back, a bounded number at a time, while `gone` remembers it. Until the last
-- one is back they are in `inf` or `left`, so the queue cannot end before.

local FIELDS = { 'name', 'conn', 'seq', 'batch', 'late', 'producers', 'consumers', 'opener', 'names', 'since', 'held',
  'handed', 'suspect', 'lost', 'cursor' }

-- How many items one call moves: they may be large.
local STEP = '200'

local function forget(id)
  local names = {}
  for i, field in ipairs(FIELDS) do names[i] = id .. '.' .. field end
  call('HDEL', proc, unpack(names))
end

-- The sums over all processes, from what each has: so what was damaged does not last.
local function recount()
  local sums = { producers = 0, consumers = 0, openers = 0 }
  for _, id in ipairs(call('ZRANGE', procs, '0', '-1')) do
    local p = process(id, 'producers', 'consumers', 'opener')
    sums.producers = sums.producers + num(p[1])
    sums.consumers = sums.consumers + num(p[2])
    sums.openers = sums.openers + num(p[3])
  end
  for field, sum in pairs(sums) do call('HSET', meta, field, int(sum)) end
end

-- `lost`: '1' if it was silent for too long, '0' if it leaves.
local function fence(id, lost)
  local p = process(id, 'name', 'seq', 'producers', 'held', 'handed', 'suspect')
  local ended = call('HGET', meta, 'ended') ~= ''
  if not ended then
    -- A process that was fenced asks which of its puts were accepted, from now on.
    call('HSET', was, id, p[2] or '0')
    -- One that has put nothing and leaves is remembered only for as long as calls of it may be under way.
    local m = call('HMGET', meta, 'lease', 'retention')
    local brief = lost == '0' and num(p[2]) == 0
    call('ZADD', past, int(now() + (brief and 10 * num(m[1]) or num(m[2]))), id)
  end
  call('ZREM', procs, id)
  redis.pcall('HDEL', wc, id)
  redis.pcall('SREM', wp, id)
  if lost == '1' then
    count('lost_producers', num(p[3]))
    count('lost_processes', 1)
  end
  forget(id)
  recount()
  if not ended and (lost == '1' or num(p[4]) > 0) and call('EXISTS', inf) == 1 then
    set(id, 'name', p[1] or id, 'lost', lost, 'handed', p[5] or '0', 'suspect', p[6] or '0', 'cursor', '0')
    -- Behind those that went before, whatever the clock says.
    call('ZADD', gone, int(num(call('ZRANGE', gone, '-1', '-1', 'WITHSCORES')[2]) + 1), id)
  end
  seal_if_unowned()
  tell_all('state')
end

-- Brings items of a fenced process back. A hash has no order, so they go through a sorted set: first all into it, then
-- out of it in the order in which they had been claimed. It is for the items of one process at a time, the one that went
-- first: those of two may be the same.
--
-- What consumers had been handed counts an attempt, as far as Redis has heard of it. Any of the items may be what became of
-- the process, so all come back as suspects.
local function sweep()
  local id = call('ZRANGE', gone, '0', '0')[1]
  local p = process(id, 'name', 'lost', 'handed', 'suspect', 'cursor')
  local cursor = p[5] or '0'
  if cursor ~= 'done' then
    local scanned = call('HSCAN', inf, cursor, 'MATCH', id .. '.*', 'COUNT', STEP)
    local held, fields, members = scanned[2], {}, {}
    for i = 1, #held, 2 do
      fields[#fields + 1] = held[i]
      members[i] = int(num(held[i]:sub(#id + 2)))
      members[i + 1] = members[i] .. '|' .. held[i + 1]
    end
    if #fields > 0 then
      each('ZADD', left, members, 1, #members)
      each('HDEL', inf, fields, 1, #fields)
    end
    set(id, 'cursor', scanned[1] == '0' and 'done' or scanned[1])
    return
  end

  local popped = call('ZPOPMIN', left, STEP)
  local lost, max = p[2] == '1', num(call('HGET', meta, 'attempts'))
  local unseen, doubtful, letters = {}, {}, {}
  for i = 1, #popped, 2 do
    local delivery, entry = popped[i]:match('^(%d+)|(.*)$')
    if lost and (num(delivery) <= num(p[3]) or delivery == p[4]) then
      lapse(entry, max, p[1], {}, doubtful, letters)
    elseif lost or delivery == p[4] then
      doubtful[#doubtful + 1] = { entry }
    else
      unseen[#unseen + 1] = entry
    end
  end
  for i, item in ipairs(doubtful) do doubtful[i] = item[1] end
  push(suspects, doubtful, 1, #doubtful)
  push(back, unseen, 1, #unseen)
  bury(letters)
  if lost then count('redelivered', #doubtful) end
  wake_for_items(#doubtful + #unseen)
  if call('EXISTS', left) == 1 then return end
  call('ZREM', gone, id)
  forget(id)
end
