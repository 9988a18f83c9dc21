-- How items come back. An entry is ATTEMPTS:TIME:JSON, the time being that of its put.

-- Raises if one of the keys between which items move is of a foreign type: so none is lost on its way.
local function sound()
  for _, list in ipairs({ ready, suspects, back, letter_ready }) do call('LLEN', list) end
  for _, set in ipairs({ delayed, left, gone }) do call('ZCARD', set) end
  call('HLEN', inf)
end

-- Appends list[from..to].
local function push(key, list, from, to)
  each('RPUSH', key, list, from, to)
end

-- Makes entries of letters. The time of each is its number, too: no two have the same, and they grow, also where the
-- server's clock is set back. Never raises.
local function number(letters)
  local last = num(redis.pcall('HGET', letter_meta, 'last'))
  local time = now()
  for i, letter in ipairs(letters) do
    last = math.max(last + 1, time)
    letters[i] = '0:' .. int(last) .. ':' .. letter
  end
  redis.pcall('HSET', letter_meta, 'last', int(last))
end

-- Gives dead letters to those who read them: they are a queue of their own, whose keys begin with `letter_`.
local function bury(letters)
  if #letters == 0 then return end
  number(letters)
  push(letter_ready, letters, 1, #letters)
  add(letter_meta, 'accepted', #letters)
  count('dead', #letters)
  for _, id in ipairs(redis.pcall('HKEYS', letter_wc)) do
    redis.pcall('PUBLISH', letter_meta:sub(1, -5) .. 'to:' .. id, 'items')
  end
  redis.pcall('DEL', letter_wc)
end

local function letter(json, attempts, reason, name)
  return '{"attempts":' .. int(attempts) .. ',"reason":"' .. reason .. '","last_worker":' .. cjson.encode(name or '')
    .. ',"panic":null,"item":' .. json .. '}'
end

-- What none of these scripts has written: it is kept as a text.
local function foreign(entry, name)
  return letter(cjson.encode(entry), 0, 'not an entry of this queue', name)
end

-- Adds `by` to the attempts that count against an entry, and gives it the JSON `changed` unless that is
-- empty: the entry, their number, and its JSON; or nothing.
local function failed(entry, by, changed)
  local attempts, time, json = entry:match('^(%d+):(%d+):(.*)$')
  if not attempts then return end
  attempts = attempts + by
  if changed and changed ~= '' then json = changed end
  return int(attempts) .. ':' .. time .. ':' .. json, attempts, json
end

-- Waits until `due`. The number makes members unique and keeps those of one moment in order.
local function delay(entry, due)
  count('next', 1)
  call('ZADD', delayed, int(due), string.format('%016.0f|', num(call('HGET', meta, 'next'))) .. entry)
end

-- What is due goes to those that came back, a bounded number at a time: how many there were.
local function ripen(time)
  local due = call('ZRANGE', delayed, '-inf', int(time), 'BYSCORE', 'LIMIT', '0', '100')
  if #due == 0 then return 0 end
  call('ZREM', delayed, unpack(due))
  for i, member in ipairs(due) do due[i] = member:match('^%d+|(.*)$') or member end
  push(back, due, 1, #due)
  return #due
end

-- An attempt that ended without anybody to say what becomes of the item. It is added to `letters` if its attempts are
-- used up, else to `again` with the time in ms that it waits.
local function lapse(entry, max, name, delays, again, letters)
  local counted, attempts, json = failed(entry, 1)
  if not counted then
    letters[#letters + 1] = foreign(entry, name)
  elseif attempts >= max then
    letters[#letters + 1] = letter(json, attempts, 'attempts used up', name)
  else
    again[#again + 1] = { counted, num(delays[math.min(attempts, #delays)]) }
  end
end
