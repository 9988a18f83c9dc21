-- Moves dead letters that no reader has: back into the queue, or away. ARGV: …, 1 for back, the first number and the last one, which
-- list, where in it, how many at most, in how many bytes.
local retry, first, last, list, at = ARGV[3] == '1', tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
if retry then
  local m = queue()
  if not m then return { 'GONE' } end
  if m[1] ~= '' then return { 'ENDED', m[1] } end
end
local found, behind, on = look(list, at, first, tonumber(ARGV[8]), tonumber(ARGV[9]))
local key = LISTS[list]
local places, items, unfit, time = {}, {}, 0, int(now())
for i, entry in ipairs(found) do
  local id, json = opened(entry)
  if id >= first and id <= last then
    local from, to = place_of_item(json)
    if from or not retry then
      places[#places + 1] = i
      items[#items + 1] = retry and '0:' .. time .. ':' .. json:sub(from, to - 1)
    else
      unfit = unfit + 1
    end
  end
end
local n = #places
if n > 0 then
  if retry then
    -- The first that is changed, so it may raise. Newest first, as they were found: so the oldest is the first of all.
    each('LPUSH', back, items, 1, n)
    count('accepted', n)
    count('retried', n)
    wake_for_items(n)
  end
  if list == DELAYED then
    for i, place in ipairs(places) do items[i] = found[place] end
    each('ZREM', key, items, 1, n)
  elseif behind == 0 and places[n] == n then
    call('RPOP', key, int(n))
  else
    -- Two entries may be alike, and places tell them apart.
    for _, place in ipairs(places) do call('LSET', key, int(-behind - place), '') end
    local near_the_end = 2 * behind < call('LLEN', key)
    call('LREM', key, int(near_the_end and -n or n), '')
  end
  add(letter_meta, retry and 'taken' or 'discarded', n)
end
if on and list ~= NEW then on = on - n end
return { 'OK', n, unfit, on and int(on) or '' }
