-- renew: count a memory as learnt again and let it live on, if it is still there.
--
--   KEYS[1]  the memory
--   ARGV[1]  'json' or 'hash'
--   ARGV[2]  time to live in seconds; '' for none
--   result   1, or 0 if it is gone

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[1] == 'hash' then
  redis.call('HINCRBY', KEYS[1], 'hit_count', 1)
else
  redis.call('JSON.NUMINCRBY', KEYS[1], '$.hit_count', 1)
end
if ARGV[2] == '' then redis.call('PERSIST', KEYS[1]) else redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return 1
