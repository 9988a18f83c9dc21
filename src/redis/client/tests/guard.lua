
-- Follows the prelude in tests: all that a script hands to Redis must be strings, on every path that a test takes.
local unguarded = call
call = function(...)
  for i, argument in ipairs({ ... }) do
    assert(type(argument) == 'string', 'argument ' .. i .. ' of ' .. (...) .. ' is a ' .. type(argument))
  end
  return unguarded(...)
end
