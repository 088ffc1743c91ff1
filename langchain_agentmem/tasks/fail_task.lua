-- fail_task: note in a task that it failed, or set it aside.
--
--   KEYS[1…3]  the queue, its signal, the stream of signals
--   KEYS[4]    the stream of tasks that are set aside
--   ARGV[1…2]  the group and the signal's id, as take_off takes them
--   ARGV[3]    the element
--   ARGV[4]    how many of its first bytes are replaced
--   ARGV[5]    by what
--   ARGV[6…]   none if it stays in the queue, in its place; to set it aside, the fields and values of the entry
--              besides `task`, which holds it
--   result     1; 0 if it is not in the queue, and nothing was written

local refused = check_queue(KEYS) or check_type(KEYS[4], 'stream')
if refused then return refused end
local at = redis.call('LPOS', KEYS[1], ARGV[3])
if not at then return 0 end
local changed = ARGV[5] .. string.sub(ARGV[3], ARGV[4] + 1)
if #ARGV == 5 then
  redis.call('LSET', KEYS[1], at, changed)
else
  redis.call('XADD', KEYS[4], '*', 'task', changed, unpack(ARGV, 6))
  take_off(KEYS, ARGV[1], ARGV[2], {ARGV[3]})
end
return 1
