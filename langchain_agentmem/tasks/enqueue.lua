-- enqueue: put a task at the end of its queue, and signal that there is one.
--
--   KEYS[1…3]  the queue, its signal, the stream of signals
--   ARGV[1]    the element
--   ARGV[2]    '1' if it replaces what is in the queue, '' if not
--   ARGV[3…6]  what, thread, user, namespace
--   result     the id of the queue's signal
--
-- The types of all keys come before the first write, which is one that a full server refuses.

local refused = check_queue(KEYS)
if refused then return refused end
redis.call('RPUSH', KEYS[1], ARGV[1])
if ARGV[2] == '1' then redis.call('LTRIM', KEYS[1], -1, -1) end
return give_signal(KEYS, ARGV[3], ARGV[4], ARGV[5], ARGV[6])
