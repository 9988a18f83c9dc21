-- ARGV: …, number of the batch, the last id that a consumer here was handed, how many of each kind, then: entries of
-- children; and of deliveries, by their fields in `inf`: those acked, taken, (field, attempts that count, delay, JSON) requeued, undone, (field,
-- letter) dead, (first id, last id) overdue; then the delays (ms) after attempt 1, 2, … of what is overdue, the last one
-- being for all further ones.
local batch = tonumber(ARGV[3])
local m = queue('sealed', 'attempts')
if not m then return { 'GONE' } end
local p, refusal = myself('batch', 'late', 'held', 'suspect', 'name', 'handed')
if not p then return m[1] ~= '' and { 'ENDED' } or refusal end
-- Done before, and the answer was lost.
if batch <= num(p[2]) then return { 'OK', batch == num(p[2]) and num(p[3]) or 0 } end
if m[1] ~= '' then return { 'ENDED' } end
local counts = {}
for i = 5, 11 do counts[i - 4] = tonumber(ARGV[i]) end
local children, acks, taken, requeues, undone, dead, overdue = unpack(counts)
local at = 12
local settled = 0
-- What only removes changes nothing where it raises.
if children + requeues + undone + dead + overdue > 0 then sound() end
local suspect = me .. '.' .. (p[5] or '0')

-- Takes an item out of what this process holds, if it does.
local function release(field)
  local entry = call('HGET', inf, field)
  if entry then
    call('HDEL', inf, field)
    settled = settled + 1
  end
  return entry
end

local function done(name, n)
  local hits = each('HDEL', inf, ARGV, at, at + n - 1)
  count(name, hits)
  settled = settled + hits
  at = at + n
end

-- Children first: the queue must not look empty between an ack and what came of the item.
if meta == letter_meta then
  -- A letter that a reader puts is another one.
  local letters = {}
  for i = 1, children do letters[i] = ARGV[at + i - 1]:match('^%d+:%d+:(.*)$') end
  if children > 0 then number(letters) end
  push(ready, letters, 1, children)
else
  push(ready, ARGV, at, at + children - 1)
end
count('accepted', children)
at = at + children
done('acked', acks)
done('taken', taken)

local time = requeues + overdue > 0 and now()
local returned, put_off, letters = {}, 0, {}
for _ = 1, requeues do
  local entry, attempts, ms = release(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local again = entry and failed(entry, attempts, ARGV[at + 3])
  at = at + 4
  if entry and not again then
    letters[#letters + 1] = foreign(entry, p[6])
  elseif entry and ms > 0 then
    delay(again, time + ms)
    put_off = put_off + 1
  elseif entry then
    returned[#returned + 1] = again
  end
end

-- To the head, in their order: nobody has looked at them. What was a suspect still is.
local front = 0
for i = at + undone - 1, at, -1 do
  local entry = release(ARGV[i])
  if entry then
    front = front + 1
    call('LPUSH', ARGV[i] == suspect and suspects or back, entry)
  end
end
at = at + undone

for _ = 1, dead do
  local entry, text = release(ARGV[at]), ARGV[at + 1]
  if entry and text == '' then
    -- It cannot be written as it is now, so the letter has it as it was put.
    lapse(entry, 0, p[6], {}, {}, letters)
  elseif entry then
    letters[#letters + 1] = text
  end
  at = at + 2
end
local late = acks + taken + requeues + undone + dead - settled

local delays = { unpack(ARGV, at + 2 * overdue) }
for _ = 1, overdue do
  local lapsed = {}
  for id = tonumber(ARGV[at]), tonumber(ARGV[at + 1]) do
    local entry = release(me .. '.' .. int(id))
    if entry then lapse(entry, num(m[3]), p[6], delays, lapsed, letters) end
  end
  for _, item in ipairs(lapsed) do
    if item[2] > 0 then
      delay(item[1], time + item[2])
      put_off = put_off + 1
    else
      returned[#returned + 1] = item[1]
    end
  end
  at = at + 2
end

push(back, returned, 1, #returned)
bury(letters)
count('redelivered', #returned + put_off)
set(me, 'batch', int(batch), 'late', int(late), 'held', int(math.max(0, num(p[4]) - settled)), 'handed',
  later(ARGV[4], p[7]))
-- Processes that wait also learn of items that are delayed, to come when they are due. And the next suspect is for one
-- that has none.
local next_suspect = num(p[5]) > 0 and call('HEXISTS', inf, suspect) == 0 and call('LLEN', suspects) or 0
wake_for_items(children + #returned + put_off + front + next_suspect)
if m[2] == '1' then finish() end
return { 'OK', late }
