-- update: change members of a memory, unless it is superseded. One atomic step.
--
--   KEYS[1]    the memory
--   ARGV[1]    'json' or 'hash'
--   ARGV[2…4]  tags of the user, namespace and kind it has to be of; '' for any
--   ARGV[5]    TTL in seconds; '' for none, 'keep' to leave it
--   ARGV[6]    the digest of its new text, '-' if nothing compares by it; '' if the text stays
--   ARGV[7…]   name, value; name, value … : for 'json', values are JSON text
--   result     {1, its TTL in milliseconds or -1, the digest it stands for under its id, digests whose
--              pointers lead to it and have to be deleted}, {0} if there is none, or {-1} if the key holds no
--              memory

local key, storage, ttl = KEYS[1], ARGV[1], ARGV[5]
local tags = {}
for i = 1, 3 do tags[i] = ARGV[i + 1] ~= '' and ARGV[i + 1] end

if redis.call('EXISTS', key) == 0 or not in_scope(key, storage, tags) then return {0} end
if plain(key, storage, 'superseded_by') then return {0} end
if not readable(key, storage, tags) then return {-1} end

local changes = {unpack(ARGV, 7)}
if ARGV[6] ~= '' then
  changes[#changes + 1] = 'updated_ts'
  changes[#changes + 1] = now()
end
if storage == 'hash' then
  if #changes > 0 then redis.call('HSET', key, unpack(changes)) end
else
  for i = 1, #changes, 2 do redis.call('JSON.SET', key, '$.' .. changes[i], changes[i + 1]) end
end
local lost = ARGV[6] == '' and '' or note(key, storage, ARGV[6], plain(key, storage, 'same'))
if ttl == '' then redis.call('PERSIST', key) elseif ttl ~= 'keep' then redis.call('EXPIRE', key, ttl) end
return {1, redis.call('PTTL', key), digest_of(key, storage, ''), lost}
