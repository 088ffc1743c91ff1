-- bring_queue: write a queue of tasks, and signal it.
--
--   KEYS[1…3]  the queue, its signal, the stream of signals
--   ARGV[1…3]  as bring has them
--   ARGV[4…7]  what, thread, user, namespace
--   result     as bring's

local refused = check_queue(KEYS)
if refused then return refused end
local other = in_the_way(KEYS[1], ARGV[1])
if other then return other end
restore(KEYS[1], ARGV[2], ARGV[3])
give_signal(KEYS, ARGV[4], ARGV[5], ARGV[6], ARGV[7])
return 1
