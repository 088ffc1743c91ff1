-- judged: note what a memory said when it was judged among its neighbours.
--
--   KEYS[1]    the memory
--   ARGV[1]    'json' or 'hash'
--   ARGV[2…4]  tags of user, namespace and kind
--   ARGV[5]    what stands for that
--   result     1, or 0 if there is no such memory

if not readable(KEYS[1], ARGV[1], {unpack(ARGV, 2, 4)}) then return 0 end
if ARGV[1] == 'hash' then
  redis.call('HSET', KEYS[1], 'judged', ARGV[5])
else
  redis.call('JSON.SET', KEYS[1], '$.judged', '"' .. ARGV[5] .. '"')
end
return 1
