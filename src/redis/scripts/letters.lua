-- ARGV: …, number of this call, how many at most. What a call gave is kept until the next one: whose
-- answer was lost asks with the same number. If the process dies before, others read it.
local number, max = tonumber(ARGV[3]), tonumber(ARGV[4])
local m = queue('retention')
if not m then return { 'GONE' } end
local p, refusal = myself('letters')
if not p then return refusal end
local mine = P .. 'let:' .. me
if number > tonumber(p[2]) then
  call('DEL', mine)
  call('HSET', P .. 'proc:' .. me, 'letters', int(number))
  local letters = call('LPOP', P .. 'dead', int(max)) or {}
  if #letters > 0 then
    each('RPUSH', mine, letters, 1, #letters)
    if m[1] ~= '' then call('PEXPIRE', mine, m[2]) end
  end
end
return { 'OK', call('LRANGE', mine, '0', '-1') }
