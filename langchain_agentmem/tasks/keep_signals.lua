-- keep_signals: set how long signals have been idle, those that a worker still has in hand. If it gives them back,
-- its delivery is not counted: only deliveries to workers that died are.
--
--   KEYS[1]  the stream of signals
--   ARGV[1]  the group
--   ARGV[2]  the worker
--   ARGV[3]  for how many milliseconds they have been idle from now on; if any, it gives them back
--   ARGV[4…] ids
--   result   the ids of those that it has in hand; the others may be in another worker's

local kept = {}
for i = 4, #ARGV do
  local id = ARGV[i]
  local held = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2])[1]
  if held then
    local count = held[4]
    if tonumber(ARGV[3]) > 0 then count = math.max(count - 1, 0) end
    local claimed =
      redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'IDLE', ARGV[3], 'RETRYCOUNT', count, 'JUSTID')
    if #claimed == 1 then kept[#kept + 1] = id end
  end
end
return kept
