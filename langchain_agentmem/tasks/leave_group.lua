-- leave_group: delete a worker from its group, unless it has signals in hand, which would be lost with it.
--
--   KEYS[1]  the stream of signals
--   ARGV[1]  the group
--   ARGV[2]  the worker
--   result   1; 0 if it has some, and stays

if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
