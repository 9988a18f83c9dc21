-- How items come back.

-- Adds `by` to the attempts that count against an entry, and gives it the JSON `changed` unless that is
-- empty: the entry, their number, and its JSON.
local function failed(entry, by, changed)
  local attempts, json = entry:match('^(%d+):(.*)$')
  attempts = attempts + by
  if changed and changed ~= '' then json = changed end
  return int(attempts) .. ':' .. json, attempts, json
end

-- Waits until `due`. The number makes members unique and keeps those of one moment in order.
local function delay(entry, due)
  local member = string.format('%016.0f|', call('HINCRBY', meta, 'next', '1')) .. entry
  call('ZADD', P .. 'delayed', int(due), member)
end

-- What is due goes to those that came back, a bounded number at a time: how many there were.
local function ripen(time)
  local key = P .. 'delayed'
  local due = call('ZRANGE', key, '-inf', int(time), 'BYSCORE', 'LIMIT', '0', '100')
  if #due == 0 then return 0 end
  call('ZREM', key, unpack(due))
  for i, member in ipairs(due) do due[i] = member:sub(18) end
  push('back', due, 1, #due)
  return #due
end

-- An attempt that ended without anybody to say what becomes of the item: it comes back, now or after
-- the delay for that attempt, or its attempts are used up.
local function lapse(entry, max, name, time, delays)
  local again, attempts, json = failed(entry, 1)
  if attempts >= max then
    push('dead', { '{"item":' .. json .. ',"attempts":' .. int(attempts)
      .. ',"reason":"attempts used up","last_worker":' .. cjson.encode(name) .. ',"panic":null}' }, 1, 1)
    count('dead', 1)
    return
  end
  count('redelivered', 1)
  local ms = tonumber(delays[math.min(attempts, #delays)] or 0)
  if ms > 0 then delay(again, time + ms) else push('back', { again }, 1, 1) end
end
