-- push_messages: put messages in front of a list, newest first, take out others first if asked, trim, and extend the
-- TTL, in one atomic step.
--
--   KEYS[1]   the list
--   ARGV[1]   TTL in seconds, 0 leaves it as it is
--   ARGV[2]   how many messages are kept, 0 for all
--   ARGV[3]   how many of what follows are messages to take out, of equal ones the newest
--   ARGV[4…]  these, then the messages to put in front, oldest first
--   result    the list's length
--
-- A trimmed list does not begin with a tool's result whose call was cut off.

local key, out = KEYS[1], tonumber(ARGV[3])
local left = out > 0 and redis.call('PTTL', key) or -1
for i = 4, 3 + out do redis.call('LREM', key, 1, ARGV[i]) end
for i = 4 + out, #ARGV do redis.call('LPUSH', key, ARGV[i]) end
local length = redis.call('LLEN', key)
local most = tonumber(ARGV[2])
if most > 0 and length > most then
  redis.call('LTRIM', key, 0, most - 1)
  length = most
  while length > 0 and string.find(redis.call('LINDEX', key, -1), '^{%s*"type"%s*:%s*"tool"') do
    redis.call('RPOP', key)
    length = length - 1
  end
end
if tonumber(ARGV[1]) > 0 and length > 0 then
  redis.call('EXPIRE', key, ARGV[1])
elseif left > 0 then
  redis.call('PEXPIRE', key, left) -- which a list loses if all its messages are taken out
end
return length
