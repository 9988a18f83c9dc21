-- The queue's time in ms: the server's, but it never goes back. `renew` writes down how far it had come (`hb`), and by how
-- much the server's clock has been set back since the queue began (`shift`).
local function now()
  local time, m = call('TIME'), call('HMGET', meta, 'hb', 'shift')
  return math.max(time[1] * 1000 + math.floor(time[2] / 1000) + num(m[2]), num(m[1]))
end
