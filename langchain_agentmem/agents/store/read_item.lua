-- read_item: read an item, and perhaps begin its TTL again.
--
--   KEYS     as in items.lua; the item's alone, if its TTL is left as it is
--   ARGV[1]  namespace, as a JSON array
--   ARGV[2]  key
--   ARGV[3]  user, in hexadecimal digits; '' for none
--   ARGV[4]  'refresh' to begin its TTL again; '' to leave it
--   result   nothing if there is none; else its members, and if its TTL was left only because it is of
--            another user than the given one, that user

local there = stored(KEYS[1])
if not there then return false end
if ARGV[4] ~= 'refresh' or there.ttl == '0' then return { there.text } end
if there.user ~= '' and there.user ~= ARGV[3] then return { there.text, there.user } end
check_records()
keep(ARGV[1], ARGV[2], there.ttl, whole(math.floor(clock() / 1000)))
return { there.text }
