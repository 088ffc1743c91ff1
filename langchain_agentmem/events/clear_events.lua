-- clear_events: delete a thread's stream, if it is one.
--
--   KEYS[1]  the stream
--   ARGV[1]  'count': nothing is deleted
--   result   how many entries it had

local length = redis.call('XLEN', KEYS[1])
if ARGV[1] ~= 'count' then redis.call('UNLINK', KEYS[1]) end
return length
