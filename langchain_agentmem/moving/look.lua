-- look: tell what a key holds, by a digest.
--
--   KEYS[1]  the key
--   ARGV[1]  'session' to tell which list holds the messages of a session, too; else ''
--   result   the digest of content and expiry, the number of bytes, the list ('' for none), and the Redis type;
--            nil if there is no such key

local found, size = digest(KEYS[1])
if not found then return false end
local list = ARGV[1] == 'session' and type_of(KEYS[1]) == 'hash' and redis.call('HGET', KEYS[1], 'list')
return {found, size, list or '', type_of(KEYS[1])}
