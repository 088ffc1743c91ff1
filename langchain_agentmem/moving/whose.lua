-- whose: tell whose a memory is.
--
--   KEYS[1]  the memory
--   result   its type, and its members `user` and `exact`, as take has them; nil if there is no such memory

local kind = type_of(KEYS[1])
if kind == 'none' then return false end
return {kind, whose(KEYS[1], kind)}
