-- seen: the functions that the other scripts begin with. None of its own.

-- The memory at a key; nil if there is none, if it cannot be read, or if it is superseded.
local function memory(key)
  local stored = redis.pcall('JSON.GET', key, '$')
  if type(stored) ~= 'string' then return nil end
  local parsed, documents = pcall(cjson.decode, stored)
  local found = parsed and documents[1]
  if type(found) ~= 'table' or found.supersededBy ~= nil or type(found.createdAt) ~= 'number' then return nil end
  for _, name in ipairs({'text', 'userId', 'kind'}) do
    if type(found[name]) ~= 'string' then return nil end
  end
  local hits = found.hitCount
  if hits ~= nil and (type(hits) ~= 'number' or hits < 0 or hits % 1 ~= 0) then return nil end
  return found
end

-- Count a memory as seen again, and extend its TTL.
local function seen(key, found, ttl)
  if found.hitCount == nil then
    redis.call('JSON.SET', key, '$.hitCount', '1')
  else
    redis.call('JSON.NUMINCRBY', key, '$.hitCount', '1')
  end
  extend(key, ttl)
end

-- Make a pointer lead to a memory, for as long as the memory is there.
local function point(pointer, key)
  local left = redis.call('PTTL', key)
  if left > 0 then
    redis.call('SET', pointer, key, 'PX', left)
  else
    redis.call('SET', pointer, key)
  end
end

