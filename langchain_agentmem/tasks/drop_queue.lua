-- drop_queue: delete a queue with its signal, or count what is in it.
--
--   KEYS[1…3]  the queue, its signal, the stream of signals
--   ARGV[1]    the id of the signal that led there
--   ARGV[2]    'count': nothing is deleted
--   result     how many tasks are in it

local refused = check_queue(KEYS)
if refused then return refused end
local count = redis.call('LLEN', KEYS[1])
if ARGV[2] ~= 'count' then
  redis.call('UNLINK', KEYS[1])
  end_signal(KEYS, '', ARGV[1])
end
return count
