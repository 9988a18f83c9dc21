-- What all scripts share. The keys that a script declares are locals of their names (see scripts.rs); ARGV[1] is the
-- process that calls, ARGV[2] the number of its connection.
--
-- A script raises only before its first write: on a key of a foreign type, or, on a cluster, on one that is just
-- moving. What it finds missing or damaged in the keys, it takes as empty, or puts aside as a dead letter.
local call = redis.call
local me, conn = ARGV[1], ARGV[2]

-- A whole number as an argument of a command. Every argument is a string: of numbers, Redis 7.2.0 to 7.2.4
-- make 1e+8 and the like, and Lua's `..` does from 1e+15 on.
local function int(n)
  return string.format('%.0f', n)
end

local function num(value)
  return tonumber(value or 0) or 0
end

-- The fields of `meta` asked for; nothing if the queue is not there any more.
local function queue(...)
  local fields = call('HMGET', meta, 'ended', ...)
  return fields[1] and fields
end

-- The fields of a process asked for.
local function process(id, ...)
  local names = { ... }
  for i, name in ipairs(names) do names[i] = id .. '.' .. name end
  return call('HMGET', proc, unpack(names))
end

-- Sets fields of a process: name, value, …
local function set(id, ...)
  local fields = { ... }
  for i = 1, #fields, 2 do fields[i] = id .. '.' .. fields[i] end
  call('HSET', proc, unpack(fields))
end

-- The fields of this process asked for, after its connection; or nothing and the answer that refuses
-- the call. A call that comes late, through a connection that has a successor, must change nothing:
-- what it says was overtaken by what the process said since.
local function myself(...)
  local fields = process(me, 'conn', ...)
  if not fields[1] then return nil, { 'FENCED' } end
  if fields[1] ~= conn then return nil, { 'STALE' } end
  return fields
end

-- The later one of two deliveries up to which consumers of this process were handed all: what it tells may be overtaken by
-- what it tells later, as its two connections keep no order.
local function later(told, known)
  return int(math.max(tonumber(told), num(known)))
end

-- A variadic command over list[from..to] in slices, as Lua's stack is small: the sum of the answers.
local function each(command, key, list, from, to)
  local sum = 0
  for i = from, to, 1000 do
    sum = sum + call(command, key, unpack(list, i, math.min(i + 999, to)))
  end
  return sum
end

-- Adds to a number, also where there is none any more. Never raises.
local function add(key, field, by)
  if by == 0 then return end
  local sum = redis.pcall('HINCRBY', key, field, int(by))
  if type(sum) == 'table' then redis.pcall('HSET', key, field, int(by)) end
end

local function count(field, by)
  add(meta, field, by)
end
