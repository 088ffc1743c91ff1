-- bring_document: write a memory in another layout than it was taken in, unless somebody else has written there.
--
--   KEYS[1]    the memory
--   ARGV[1…2]  as bring has them
--   ARGV[3…]   JSON text; or fields, each followed by its value
--   result     1, and the digest of what is there now ('' if it has expired); or the digest of what is there, and
--              nothing was written

local key, other = KEYS[1], in_the_way(KEYS[1], ARGV[1])
if other then return other end
redis.call('DEL', key)
if #ARGV == 3 then
  redis.call('JSON.SET', key, '$', ARGV[3])
else
  redis.call('HSET', key, unpack(ARGV, 3))
end
if ARGV[2] ~= '0' then redis.call('PEXPIREAT', key, ARGV[2]) end
return {1, digest(key) or ''}
