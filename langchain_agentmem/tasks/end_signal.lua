-- end_signal: acknowledge and delete a signal, if its queue is empty or has another one.
--
--   KEYS[1…3]  the queue, its signal, the stream of signals
--   ARGV[1]    the group of workers in which it is acknowledged
--   ARGV[2]    its id
--   result     1; 0 if the queue is not empty, and it stays

local refused = check_queue(KEYS)
if refused then return refused end
if end_signal(KEYS, ARGV[1], ARGV[2]) then return 1 end
local id = redis.call('GET', KEYS[2])
if id == ARGV[2] then return 0 end
local found = redis.pcall('XRANGE', KEYS[3], id or '', id or '') -- an error if it is no id
if found.err or #found == 0 then
  -- The queue has lost its signal, as when a server evicts keys: from now on it is this one, if it is there.
  if #redis.call('XRANGE', KEYS[3], ARGV[2], ARGV[2]) == 1 then redis.call('SET', KEYS[2], ARGV[2]) end
  return 0
end
drop_signal(KEYS, ARGV[2], ARGV[1])
return 1
