-- clear_events: delete a thread's stream, if it is one.
--
--   KEYS[1]  the stream
--   result   how many entries it had

local length = redis.call('XLEN', KEYS[1])
redis.call('UNLINK', KEYS[1])
return length
