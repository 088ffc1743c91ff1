-- release: delete a key if it still holds a value: a lock of one's own, or a pointer to what is deleted.
--
--   KEYS[1]  the key, a String
--   ARGV[1]  the value
--   result   1 if it was deleted, 0 if it holds another one, or had expired

if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
