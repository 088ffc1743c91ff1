-- forget: delete a memory if it is in a scope.
--
--   KEYS[1]    the memory
--   ARGV[1]    'json' or 'hash'; '' for whichever it is, and then a key of another type is no error
--   ARGV[2…4]  tags of user, namespace and kind; '' for any
--   ARGV[5]    the digests whose pointers to it are gone already, as they were returned; ''
--   ARGV[6…8]  user, namespace and kind as other programs write them, where those are no tags; ''
--   ARGV[9]    'count': nothing is deleted
--   result     1 if it was or would be deleted, else 0; -1 if it does not say whose it is; or the digests, with a blank
--              between, whose pointers may lead to it and go first, so that nothing is left after a failure

local key, storage = KEYS[1], ARGV[1]
if storage == '' then
  local found = redis.call('TYPE', key)
  if type(found) == 'table' then found = found['ok'] end
  if found ~= 'hash' and found ~= 'ReJSON-RL' then return 0 end
  storage = found == 'hash' and 'hash' or 'json'
end

-- Whether another program has written a member as it is, perhaps with escapes.
local function is_written(name, value)
  if storage == 'hash' then return redis.call('HGET', key, name) == value end
  local parsed, values = pcall(cjson.decode, redis.call('JSON.GET', key, '$.' .. name) or '')
  return parsed and values[1] == value
end

for i, name in ipairs({'user', 'namespace', 'kind'}) do
  -- Also read when any value will do: a key of another type is an error, and stays.
  local value = plain(key, storage, name)
  if ARGV[i + 1] ~= '' and not value and ARGV[1] == '' then return -1 end
  if ARGV[i + 1] ~= '' and value ~= ARGV[i + 1] and not (ARGV[i + 5] ~= '' and is_written(name, ARGV[i + 5])) then
    return 0
  end
end
if ARGV[9] == 'count' then return redis.call('EXISTS', key) end
local same = plain(key, storage, 'same')
if same and string.find(same, '%x') and same ~= ARGV[5] then return same end
return redis.call('UNLINK', key)
