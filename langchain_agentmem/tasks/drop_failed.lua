-- drop_failed: delete or count a user's tasks that are set aside. Looks at a bounded number of entries per call, so
-- that many large ones do not hold up the server.
--
--   KEYS[1]  the stream of tasks that are set aside
--   ARGV[1]  user, compared byte for byte
--   ARGV[2]  where to begin: '-', or what the last call answered
--   ARGV[3]  how many entries to look at
--   ARGV[4]  'count': nothing is deleted
--   result   { tasks deleted or counted, where the next call begins or '' }

local entries, count = redis.call('XRANGE', KEYS[1], ARGV[2], '+', 'COUNT', ARGV[3]), 0
for _, entry in ipairs(entries) do
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'user' and entry[2][i + 1] == ARGV[1] then
      count = count + (ARGV[4] == 'count' and 1 or redis.call('XDEL', KEYS[1], entry[1]))
    end
  end
end
local more = #entries == tonumber(ARGV[3])
return { count, more and '(' .. entries[#entries][1] or '' }
