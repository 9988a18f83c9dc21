-- What all scripts share. KEYS[1] is the queue's `meta` (the prefix of all its keys is made from it);
-- ARGV[1] is the process that calls, ARGV[2] the number of its connection.
local call = redis.call
local meta = KEYS[1]
local P = meta:sub(1, -5)
local me, conn = ARGV[1], ARGV[2]

-- A whole number as an argument of a command. Every argument is a string: of numbers, Redis 7.2.0 to 7.2.4
-- make 1e+8 and the like, and Lua's `..` does from 1e+15 on.
local function int(n)
  return string.format('%.0f', n)
end

local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The fields of `meta` asked for; nothing if the queue is not there any more.
local function queue(...)
  local fields = call('HMGET', meta, 'ended', ...)
  return fields[1] and fields
end

-- The fields of this process asked for, after its connection; or nothing and the answer that refuses
-- the call. A call that comes late, through a connection that has a successor, must change nothing:
-- what it says was overtaken by what the process said since.
local function myself(...)
  local fields = call('HMGET', P .. 'proc:' .. me, 'conn', ...)
  if not fields[1] then return nil, { 'FENCED' } end
  if fields[1] ~= conn then return nil, { 'STALE' } end
  return fields
end

-- A variadic command over list[from..to] in slices, as Lua's stack is small: the sum of the answers.
local function each(command, key, list, from, to)
  local sum = 0
  for i = from, to, 1000 do
    sum = sum + call(command, key, unpack(list, i, math.min(i + 999, to)))
  end
  return sum
end

local function count(field, by)
  if by ~= 0 then call('HINCRBY', meta, field, int(by)) end
end

-- The keys of a queue, but for those of single processes and the pointer.
local SHARED = { 'meta', 'ready', 'back', 'delayed', 'dead', 'procs', 'gone', 'due', 'wc', 'wp', 'was', 'past' }

-- Nobody and nothing is in the queue.
local function deserted()
  return call('EXISTS', P .. 'procs', P .. 'gone', P .. 'ready', P .. 'back', P .. 'delayed', P .. 'dead') == 0
end

-- Appends list[from..to].
local function push(name, list, from, to)
  each('RPUSH', P .. name, list, from, to)
end

-- Wakes up to n processes that wait, for items (wc) or for room (wp). Hints: who misses one looks anyway.
local function wake(set, n, hint)
  if n < 1 then return end
  for _, process in ipairs(call('SPOP', P .. set, int(n))) do
    call('PUBLISH', P .. 'to:' .. process, hint)
  end
end

local function wait(set)
  call('SADD', P .. set, me)
end
