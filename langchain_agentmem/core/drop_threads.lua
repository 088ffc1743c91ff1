-- drop_threads: take threads out of a user's record, except those that were written to since they were read.
--
--   KEYS[1]  the user's threads
--   ARGV     score, thread id, score, thread id …: as they were read
--   result   how many were taken out
--
-- A record without threads is deleted.

local key, dropped = KEYS[1], 0
for i = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', key, ARGV[i + 1])
  if score and tonumber(score) <= tonumber(ARGV[i]) then
    dropped = dropped + redis.call('ZREM', key, ARGV[i + 1])
  end
end
if redis.call('ZCOUNT', key, 0, '+inf') == 0 then redis.call('UNLINK', key) end
return dropped
