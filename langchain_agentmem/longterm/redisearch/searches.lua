-- searches: make searches of one index, all on the same data. Reads only.
--
--   KEYS[1]  there while the index is being backfilled
--   KEYS[2]  a key that is never there: with two keys, a cluster does not run this while their slot moves
--   ARGV     each search: how many parts its command has, and these
--   result   {1 or 0: whether KEYS[1] is there, the reply to each search, an error if it failed}

local replies = {redis.call('EXISTS', KEYS[1])}
local at = 1
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  replies[#replies + 1] = redis.pcall(unpack(ARGV, at + 1, last))
  at = last + 1
end
return replies
