-- record_events: append events to a thread's stream and extend its TTL, in one atomic step.
--
--   KEYS[1]   the stream
--   ARGV[1]   about how many entries are kept (MAXLEN ~)
--   ARGV[2]   time to live in seconds, 0 leaves it as it is
--   ARGV[3…]  for each event: 2n, then its n fields: name, value, name, value …
--   result    the new entries' ids, in order

local ids, at = {}, 3
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  ids[#ids + 1] =
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, at + 1, last))
  at = last + 1
end
if tonumber(ARGV[2]) > 0 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return ids
