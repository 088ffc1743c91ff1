-- delete_typed: delete a key if it is of the type it should be; a key of another type is left as it is.
--
--   KEYS[1]  the key
--   ARGV[1]  its type
--   result   1 if it was deleted, 0 if it was not there

local found = redis.call('TYPE', KEYS[1])
if type(found) == 'table' then found = found['ok'] end
if found == 'none' then return 0 end
if found ~= ARGV[1] then
  return redis.error_reply('WRONGTYPE the key holds a ' .. found .. ', not a ' .. ARGV[1])
end
return redis.call('UNLINK', KEYS[1])
