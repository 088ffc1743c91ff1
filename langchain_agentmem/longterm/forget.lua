-- forget: delete a memory if it is in a scope.
--
--   KEYS[1]    the memory
--   ARGV[1]    'json' or 'hash'
--   ARGV[2…4]  tags of user, namespace and kind; '' for any
--   result     1 if it was deleted, else 0

local key = KEYS[1]
for i, name in ipairs({'user', 'namespace', 'kind'}) do
  -- Also read when any value will do: a key of another type is an error, and stays.
  local value
  if ARGV[1] == 'hash' then
    value = redis.call('HGET', key, name)
  else
    value = string.match(redis.call('JSON.GET', key, '$.' .. name) or '', '^%["(.*)"%]$')
  end
  if ARGV[i + 1] ~= '' and value ~= ARGV[i + 1] then return 0 end
end
return redis.call('UNLINK', key)
