-- seen: the functions that `remember` and `renew` begin with. No script of its own.

-- The user, namespace or kind of a memory, as the index holds it.
local function tag_of(key, storage, name)
  if storage == 'hash' then return redis.call('HGET', key, name) end
  return string.match(redis.call('JSON.GET', key, '$.' .. name) or '', '^%["(.*)"%]$')
end

-- Count a memory as seen again, and extend its TTL. Returns false, and does nothing, if it is gone, holds
-- no memory that could be read, or is of another scope: the index splits what other programs wrote at
-- commas, and trims it. `tags` are of user, namespace and kind.
local function seen(key, storage, ttl, tags)
  if storage == 'hash' then
    local read = redis.call('HMGET', key, 'text', 'source_thread', 'hit_count', 'created_ts')
    if not (read[1] and read[2] and string.match(read[3] or '', '^%d+$') and tonumber(read[4] or '')) then
      return false
    end
  else
    for path, wanted in pairs({text = 'string', source_thread = 'string', hit_count = 'integer'}) do
      local types = redis.call('JSON.TYPE', key, '$.' .. path)
      if not types or types[1] ~= wanted then return false end
    end
    local types = redis.call('JSON.TYPE', key, '$.created_ts')
    if types[1] ~= 'number' and types[1] ~= 'integer' then return false end
  end
  for i, name in ipairs({'user', 'namespace', 'kind'}) do
    if tag_of(key, storage, name) ~= tags[i] then return false end
  end
  if storage == 'hash' then
    redis.call('HINCRBY', key, 'hit_count', 1)
  else
    redis.call('JSON.NUMINCRBY', key, '$.hit_count', 1)
  end
  extend(key, ttl)
  return true
end

