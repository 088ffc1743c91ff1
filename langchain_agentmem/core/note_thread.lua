-- note_thread: note that a user has a thread, before something of that thread is written.
--
--   KEYS[1]  the user's threads: a sorted set of thread ids by the time of the last write, epoch seconds
--   ARGV[1]  now, by the writer's clock
--   ARGV[2]  thread id
--   ARGV[3]  TTL of what is about to be written, in seconds; '' if it does not expire
--   result   1
--
-- Every note changes the thread's time, whatever the clocks say, so that whoever removes threads from the
-- record can tell which were written to meanwhile.
--
-- The set's TTL is the longest of anything that was ever written for the user, and starts again with each
-- write. Its empty member, which is not a thread, holds that TTL as a negative score.

local key, ttl = KEYS[1], ARGV[3] == '' and '-inf' or '-' .. ARGV[3]
local time, last = tonumber(ARGV[1]), tonumber(redis.call('ZSCORE', key, ARGV[2]) or -1)
if last >= time then time = last + 0.000001 end
redis.call('ZADD', key, string.format('%.6f', time), ARGV[2])
redis.call('ZADD', key, 'LT', ttl, '')
local longest = redis.call('ZSCORE', key, '')
if tonumber(longest) < -2147483647 then redis.call('PERSIST', key) else redis.call('EXPIRE', key, string.sub(longest, 2)) end
return 1
