-- retag: write scope values of a memory as the index wants them, if they still are what was read.
--
--   KEYS[1]    the memory
--   ARGV[1]    'json' or 'hash'
--   ARGV[2]    all its values that are indexed as digests: JSON text of an object
--   ARGV[3…]   name, value so far, tag; name, value so far, tag; …
--   result     1, or 0 if the memory is gone or was changed meanwhile

local key, storage = KEYS[1], ARGV[1]

local function value_of(name)
  if storage == 'hash' then return redis.call('HGET', key, name) end
  local parsed, values = pcall(cjson.decode, redis.call('JSON.GET', key, '$.' .. name) or '')
  return parsed and values[1]
end

for i = 3, #ARGV, 3 do
  if value_of(ARGV[i]) ~= ARGV[i + 1] then return 0 end
end
for i = 3, #ARGV, 3 do
  if storage == 'hash' then
    redis.call('HSET', key, ARGV[i], ARGV[i + 2])
  else
    redis.call('JSON.SET', key, '$.' .. ARGV[i], '"' .. ARGV[i + 2] .. '"')
  end
end
if storage == 'hash' then
  redis.call('HSET', key, 'exact', ARGV[2])
else
  redis.call('JSON.SET', key, '$.exact', ARGV[2])
end
return 1
