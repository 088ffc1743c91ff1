-- join_queue: put those tasks into a queue that it does not hold, and signal it.
--
--   KEYS[1…3]  the queue, its signal, the stream of signals
--   ARGV[1…4]  what, thread, user, namespace
--   ARGV[5…]   the elements, oldest first
--   result     the digest of the queue then

local refused = check_queue(KEYS)
if refused then return refused end
for i = 5, #ARGV do
  if not redis.call('LPOS', KEYS[1], ARGV[i]) then redis.call('RPUSH', KEYS[1], ARGV[i]) end
end
give_signal(KEYS, ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return (digest(KEYS[1]))
