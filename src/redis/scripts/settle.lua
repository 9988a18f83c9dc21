-- ARGV: …, number of the batch, how many of each kind, then: entries of children, ids acked, ids taken,
-- (id, delay, JSON) requeued, ids undone, (id, letter) dead.
local batch = tonumber(ARGV[3])
local m = queue('sealed')
if not m then return { 'GONE' } end
local p, refusal = myself('batch', 'late')
if not p then return m[1] ~= '' and { 'ENDED' } or refusal end
-- Done before, and the answer was lost.
if batch <= tonumber(p[2]) then return { 'OK', batch == tonumber(p[2]) and tonumber(p[3]) or 0 } end
if m[1] ~= '' then return { 'ENDED' } end

local children, acks, taken = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local requeues, undone, dead = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local inflight, at = P .. 'inf:' .. me, 10
local settled = 0

-- Takes an item out of what this process holds, if it does.
local function release(id)
  local entry = call('HGET', inflight, id)
  if entry then
    call('HDEL', inflight, id)
    settled = settled + 1
  end
  return entry
end

local function done(field, n)
  local hits = each('HDEL', inflight, ARGV, at, at + n - 1)
  count(field, hits)
  settled = settled + hits
  at = at + n
end

-- Children first: the queue must not look empty between an ack and what came of the item.
push('ready', ARGV, at, at + children - 1)
count('accepted', children)
at = at + children
done('acked', acks)
done('taken', taken)

local back, later = {}, 0
local time = requeues > 0 and now()
for _ = 1, requeues do
  local entry, ms = release(ARGV[at]), tonumber(ARGV[at + 1])
  local again = entry and failed(entry, 1, ARGV[at + 2])
  at = at + 3
  if entry and ms > 0 then
    delay(again, time + ms)
    later = later + 1
  elseif entry then
    back[#back + 1] = again
  end
end
push('back', back, 1, #back)

-- To the head, in their order: nobody has looked at them.
local front = 0
for i = at + undone - 1, at, -1 do
  local entry = release(ARGV[i])
  if entry then
    front = front + 1
    call('LPUSH', P .. 'back', entry)
  end
end
at = at + undone
count('redelivered', #back + later + front)

local letters = {}
for _ = 1, dead do
  local entry, letter = release(ARGV[at]), ARGV[at + 1]
  if entry and letter == '' then
    -- It cannot be written as it is now, so the letter has it as it was put.
    lapse(entry, 0, call('HGET', P .. 'proc:' .. me, 'name'), 0, {})
  elseif entry then
    letters[#letters + 1] = letter
  end
  at = at + 2
end
push('dead', letters, 1, #letters)
count('dead', #letters)

count('inflight', -settled)
local late = acks + taken + requeues + undone + dead - settled
call('HSET', P .. 'proc:' .. me, 'batch', int(batch), 'late', int(late))
-- Who waits also learns of items that are delayed, to come when they are due.
wake('wc', children + #back + later + front, 'items')
if m[2] == '1' then finish() end
return { 'OK', late }
