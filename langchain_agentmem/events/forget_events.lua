-- forget_events: delete or count a user's entries in a stream; delete a stream that is empty afterwards.
-- Looks at a bounded number of entries a call, so that a long stream does not hold up the server.
--
--   KEYS[1]  the stream
--   ARGV[1]  user, compared byte for byte; '' for the entries that name nobody
--   ARGV[2]  where to begin: '-', or what the last call answered
--   ARGV[3]  how many entries to look at
--   ARGV[4]  'count': nothing is deleted
--   result   { entries deleted or counted, where the next call begins or '', how many of the others name somebody }

local function user_of(fields)
  for i = 1, #fields, 2 do
    if fields[i] == 'user' then return fields[i + 1] end
  end
  return ''
end

local entries = redis.call('XRANGE', KEYS[1], ARGV[2], '+', 'COUNT', ARGV[3])
local deleted, others = 0, 0
for _, entry in ipairs(entries) do
  local user = user_of(entry[2])
  if user == ARGV[1] then
    deleted = deleted + (ARGV[4] == 'count' and 1 or redis.call('XDEL', KEYS[1], entry[1]))
  elseif user ~= '' then
    others = others + 1
  end
end
if deleted > 0 and redis.call('XLEN', KEYS[1]) == 0 then redis.call('UNLINK', KEYS[1]) end
local more = #entries == tonumber(ARGV[3])
return { deleted, more and '(' .. entries[#entries][1] or '', others }
