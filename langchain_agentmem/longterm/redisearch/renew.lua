-- renew: count a memory as seen again and extend its TTL, if it is still there, can be read and says the same.
--
--   KEYS[1]    the memory
--   KEYS[2]    the memory it supersedes; only if ARGV[9] is not ''
--   ARGV[1]    'json' or 'hash'
--   ARGV[2…4]  tags of user, namespace and kind
--   ARGV[5]    TTL in seconds; '' for none
--   ARGV[6]    its id
--   ARGV[7]    the digest it has to stand for; '' for any
--   ARGV[8]    '1' to count it as seen again, '' to leave it as it is
--   ARGV[9]    the id of the memory it supersedes; ''
--   ARGV[10]   a text: if it is the memory's, the memory gets the digest; ''
--   result     {0} if there is no such memory in this scope, else {1, whether it supersedes, its TTL in
--              milliseconds or -1, whether it got the digest}

local key, storage, id, digest = KEYS[1], ARGV[1], ARGV[6], ARGV[7]
local tags, old = {unpack(ARGV, 2, 4)}, ARGV[9] ~= '' and KEYS[2]

if not readable(key, storage, tags) then return {0} end
local adopts = digest ~= '' and digest_of(key, storage, id) ~= digest
if adopts and (ARGV[10] == '' or text_of(key, storage) ~= ARGV[10]) then return {0} end
local supersedes = old and old ~= key and can_supersede(old, storage, {tags[1], tags[2]}, id)
if adopts then note(key, storage, digest, plain(key, storage, 'same')) end
if ARGV[8] == '1' then count(key, storage, ARGV[5]) end
if supersedes == 'yes' then supersede(old, storage, id) end
return {1, (supersedes == 'yes' or supersedes == 'done') and 1 or 0, redis.call('PTTL', key), adopts and 1 or 0}
