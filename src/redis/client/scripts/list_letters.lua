-- Describes dead letters that no reader has, newest first. ARGV: …, which list, where in it, how many at most, in how many bytes
-- of Redis, and how much of the item.
local list, at, max, bytes, text = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local found, _, on = look(list, at, 0, max, bytes)
local letters = {}
for i, entry in ipairs(found) do
  local id, json = opened(entry)
  local from, to = place_of_item(json)
  local about = from and json:sub(1, from - 1) .. 'null' .. json:sub(to) or ''
  from, to = from or 1, to or #json + 1
  letters[i] = { int(id), about, json:sub(from, math.min(from + text, to) - 1) }
end
return { 'OK', letters, on and int(on) or '' }
