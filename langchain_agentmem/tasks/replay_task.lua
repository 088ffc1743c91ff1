-- replay_task: put a task that was set aside back into its queue, before those that came later.
--
--   KEYS[1…3]  the queue, its signal, the stream of signals
--   KEYS[4]    the stream of tasks that are set aside
--   ARGV[1]    the id of its entry there
--   ARGV[2…5]  what, thread, user, namespace
--   ARGV[6]    '1' if the queue holds one task at most: if there is a newer one, this one is dropped
--   result     1; 0 if there is no such entry any more

local refused = check_queue(KEYS) or check_type(KEYS[4], 'stream')
if refused then return refused end
local entry = redis.call('XRANGE', KEYS[4], ARGV[1], ARGV[1])[1]
if not entry then return 0 end
for i = 1, #entry[2], 2 do
  if entry[2][i] == 'task' and (ARGV[6] == '' or redis.call('EXISTS', KEYS[1]) == 0) then
    redis.call('LPUSH', KEYS[1], entry[2][i + 1])
    give_signal(KEYS, ARGV[2], ARGV[3], ARGV[4], ARGV[5])
  end
end
redis.call('XDEL', KEYS[4], ARGV[1])
return 1
