-- list_live: return what is in a record and has not expired.
--
--   KEYS[1]  a record of namespaces, or of a namespace's items, as in items.lua
--   result   the members

local time = redis.call('TIME')
local ms = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
return redis.call('ZRANGEBYSCORE', KEYS[1], ms, '+inf')
