-- Dead letters that no reader has. An entry's time is the letter's number (see items.lua), so the numbers in the first list grow;
-- those in the others came back, in any order.
local LISTS = { letter_ready, letter_back, letter_delayed, letter_suspects }
local NEW, DELAYED = 1, 3

-- A letter's number and its JSON; or 0 and all of it, if no script has written it.
local function opened(entry)
  entry = entry:match('^%d+|(.*)$') or entry
  local id, json = entry:match('^%d+:(%d+):(.*)$')
  return num(id), json or entry
end

local function number_of(entry)
  return num(entry:match('^%d+:(%d+):'))
end

-- Where a value in JSON ends: the place after it; nothing if it does not end.
local function after(json, at)
  local depth = 0
  repeat
    local begins = json:sub(at, at)
    if begins == '"' then
      local slash
      repeat
        at = json:find('"', at + 1, true)
        if not at then return end
        slash = at - 1
        while json:byte(slash) == 92 do slash = slash - 1 end
      until (at - slash) % 2 == 1
      at = at + 1
    elseif begins == '{' or begins == '[' then
      depth = depth + 1
      at = at + 1
    elseif begins == '}' or begins == ']' then
      depth = depth - 1
      at = at + 1
    else
      at = json:find('["{}%[%],]', at + 1)
      if not at then return end
    end
  until depth == 0
  return at
end

-- Where the item in a letter's JSON begins, and the place after it; nothing if there is none. Letters have it last, so it need not
-- be looked through, however large it is. No script decodes it: Lua has fewer numbers than JSON.
local function place_of_item(json)
  local at = 2
  while json:sub(-1) == '}' do
    local _, colon, name = json:find('^"([%a_]+)":', at)
    if not colon then return end
    if name == 'item' and at > 2 then return colon + 1, #json end
    local stop = after(json, colon + 1)
    if not stop then return end
    if name == 'item' then return colon + 1, stop end
    at = stop + 1
  end
end

-- How many new letters have a greater number.
local function newer_than(id)
  local low, high = 0, call('LLEN', letter_ready)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if number_of(call('LINDEX', letter_ready, int(-middle - 1))) > id then low = middle + 1 else high = middle end
  end
  return low
end

-- Looks at some letters of a list, backwards: at most `max`, in some number of bytes; the first tells how large they are. `at` is
-- where the last look ended: how many have been seen, or of new letters the greatest number that has not been. So letters that
-- come and go meanwhile are neither missed nor seen twice. Returns the entries, how many are behind them in the list, and where
-- to go on; nowhere if that was all down to the number `first`.
local function look(list, at, first, max, bytes)
  local key = LISTS[list]
  local read = list == DELAYED and 'ZRANGE' or 'LRANGE'
  local behind = list == NEW and newer_than(at) or at
  local found, size, most, all = {}, 0, 1, false
  while #found < max and size < bytes and not all do
    local wanted = math.max(1, math.min(max - #found, most))
    local from = behind + #found
    local read_now = call(read, key, int(-from - wanted), int(-from - 1))
    local largest = 1
    for i = #read_now, 1, -1 do
      found[#found + 1] = read_now[i]
      size = size + #read_now[i]
      largest = math.max(largest, #read_now[i])
    end
    all = #read_now < wanted
    most = math.min(8 * #found, math.floor((bytes - size) / largest))
  end
  local on = behind + #found
  if list == NEW then
    on = at
    for _, entry in ipairs(found) do
      local id = number_of(entry)
      if id > 0 then on = math.min(on, id - 1) end
    end
    -- Without a number there is no place to go on from.
    all = all or on == at or on < first
  end
  return found, behind, not all and on
end
