-- Notifications for processes that wait: one that misses a message looks again after a moment. So nothing in here may
-- raise.
local channel = meta:sub(1, -5) .. 'to:'

-- Wakes processes that wait for items, as many as n items are for. Where they take fewer, `claim` wakes others.
local function wake_for_items(n)
  while n > 0 do
    local waiting = redis.pcall('HRANDFIELD', wc, '1', 'WITHVALUES')
    local id = waiting[1]
    if not id then return end
    redis.pcall('HDEL', wc, id)
    redis.pcall('PUBLISH', channel .. id, 'items')
    n = n - math.max(1, num(waiting[2]))
  end
end

-- Tells one process that waits for room how much there is. What it leaves, `put` offers to the next one.
local function wake_for_room(room)
  if room < 1 then return end
  local id = redis.pcall('SPOP', wp)
  if type(id) == 'string' then redis.pcall('PUBLISH', channel .. id, 'room ' .. int(room)) end
end

local function tell_all(word)
  redis.pcall('PUBLISH', meta:sub(1, -5) .. 'all', word)
end
