-- delete_item: delete an item, and bring the records up to date.
--
--   KEYS     as in items.lua
--   ARGV[1]  namespace, as a JSON array
--   ARGV[2]  key
--   ARGV[3]  user, in hexadecimal digits; '' for none
--   ARGV[4]  'own' to leave what is of another user; 'named' to leave what is of another or of nobody; ''
--   ARGV[5]  'count' to delete nothing; else not given
--   result   1 if it was deleted, or would be, else 0; or the user of the item, if none is given: nothing is
--            done, as the user's record is not among the keys

local there = stored(KEYS[1])
local is_others = there and there.user ~= '' and there.user ~= ARGV[3]
if is_others and ARGV[4] ~= '' then return 0 end
if there and there.user == '' and ARGV[4] == 'named' then return 0 end
if ARGV[5] == 'count' then return there and 1 or 0 end
if is_others and ARGV[3] == '' then return there.user end
check_records()
local now = whole(math.floor(clock() / 1000))
redis.call('UNLINK', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
settle(ARGV[1], now)
return there and 1 or 0
