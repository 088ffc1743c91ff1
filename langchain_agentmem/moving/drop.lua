-- drop: delete a key that was brought, unless somebody else has written there.
--
--   KEYS[1]    the key
--   KEYS[2…3]  of a queue of tasks: its signal, and the stream of signals
--   ARGV[1]    the digest of what was brought; '*' if it is not known
--   result     1; 0 if there is no such key; or the digest of what is there, and nothing was deleted

local other = ARGV[1] ~= '*' and in_the_way(KEYS[1], ARGV[1])
if other then return other end
local gone = redis.call('UNLINK', KEYS[1])
if KEYS[2] then end_signal(KEYS, '', '') end
return gone
