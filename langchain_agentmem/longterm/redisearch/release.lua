-- release: give back a lock, if it is still one's own.
--
--   KEYS[1]  the lock
--   ARGV[1]  the token it was taken with
--   result   1 if it was given back, 0 if it had expired

if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
