-- join_threads: note threads in a user's record, which forgets none and lives no shorter for it.
--
--   KEYS[1]  the record, as note_thread.lua has it
--   ARGV[1]  the expiry of the other one, epoch milliseconds; 0 for never
--   ARGV[2…] score, member; score, member …
--   result   the digest of the record then

local key, before = KEYS[1], redis.call('PEXPIRETIME', KEYS[1])
for i = 2, #ARGV, 2 do
  redis.call('ZADD', key, ARGV[i + 1] == '' and 'LT' or 'GT', ARGV[i], ARGV[i + 1])
end
if ARGV[1] == '0' then
  redis.call('PERSIST', key)
elseif before == -2 or (before >= 0 and before < tonumber(ARGV[1])) then
  redis.call('PEXPIREAT', key, ARGV[1])
end
return (digest(key))
