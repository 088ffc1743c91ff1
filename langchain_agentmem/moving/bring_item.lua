-- bring_item: write an item of the LangGraph store, and note it in the records.
--
--   KEYS       as in items.lua
--   ARGV[1…3]  as bring has them
--   ARGV[4]    namespace, as a JSON array
--   ARGV[5]    key
--   result     as bring's

check_records()
local other = in_the_way(KEYS[1], ARGV[1])
if other then return other end
restore(KEYS[1], ARGV[2], ARGV[3])
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('ZADD', KEYS[2], ARGV[2] == '0' and 'inf' or ARGV[2], ARGV[5])
  settle(ARGV[4], whole(math.floor(clock() / 1000)))
end
return 1
