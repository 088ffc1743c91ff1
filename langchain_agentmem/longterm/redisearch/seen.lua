-- seen: the functions that scripts begin with which look whether a memory is known. No script of its own.

-- A member of a memory that is written without escapes, such as a tag; nil or false if it is missing.
local function plain(key, storage, name)
  if storage == 'hash' then return redis.call('HGET', key, name) end
  return string.match(redis.call('JSON.GET', key, '$.' .. name) or '', '^%["(.*)"%]$')
end

-- Whether a memory is of a user, a namespace and a kind (tags, as the index holds them). Not known from a
-- search: the index splits what other programs wrote at commas, and trims it.
local function in_scope(key, storage, tags)
  for i, name in ipairs({'user', 'namespace', 'kind'}) do
    if tags[i] and plain(key, storage, name) ~= tags[i] then return false end
  end
  return true
end

-- Whether a key holds a memory of a scope that can be read. One that is superseded has no `text`.
local function readable(key, storage, tags)
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
  return in_scope(key, storage, tags)
end

-- The digest of what a memory says: the first word of `same`, or else its id.
local function digest_of(key, storage, id)
  local same = plain(key, storage, 'same')
  return same and string.match(same, '^%S*') or id
end

-- Whether a key holds a memory of a scope that can be read, and says what all texts of a digest say.
local function says(key, storage, tags, id, digest)
  return readable(key, storage, tags) and digest_of(key, storage, id) == digest
end

-- Count a memory as seen again, and extend its TTL.
local function count(key, storage, ttl)
  if storage == 'hash' then
    redis.call('HINCRBY', key, 'hit_count', 1)
  else
    redis.call('JSON.NUMINCRBY', key, '$.hit_count', 1)
  end
  extend(key, ttl)
end

