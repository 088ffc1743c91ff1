-- remember: store a memory, unless its scope holds nearly the same one already. One atomic step.
--
--   KEYS[1]    where the memory goes if it is new
--   KEYS[2]    there while the index is being backfilled; only if ARGV[6] is not ''
--   ARGV[1]    'json' or 'hash'
--   ARGV[2…4]  tags of its user, namespace and kind
--   ARGV[5]    TTL in seconds; '' for none
--   ARGV[6]    search index; '' stores without looking
--   ARGV[7]    search condition: the scope
--   ARGV[8]    the embedding, as bytes
--   ARGV[9]    up to this distance a memory is the same
--   ARGV[10]   how long the search may take, in milliseconds
--   ARGV[11…]  the document except created_ts: JSON text, or field, value, field, value …
--   result     {1, key of the memory it is a duplicate of, its distance}
--              {0, KEYS[1], distance of the nearest memory or ''}
--
-- The only keys it touches besides those are those the search finds. A server that allows no search
-- in a script, or no such key, answers with an error before anything is written.

local key, storage, ttl = KEYS[1], ARGV[1], ARGV[5]
local tags = {unpack(ARGV, 2, 4)}

-- Take the new memory for a duplicate of the nearest one that is alive, if that is near enough and can be
-- read. Expired ones still fill top-k slots, until they are touched.
local function look()
  local k = 1
  for _ = 1, 12 do
    local found = redis.call('FT.SEARCH', ARGV[6], ARGV[7] .. '=>[KNN $k @embedding $vector AS distance]',
      'PARAMS', 4, 'k', k, 'vector', ARGV[8], 'SORTBY', 'distance', 'LIMIT', 0, k,
      'RETURN', 1, 'distance', 'TIMEOUT', ARGV[10], 'DIALECT', 2)
    for i = 2, #found, 2 do
      local name, distance = found[i], found[i + 1][2]
      if redis.call('EXISTS', name) == 1 then
        if tonumber(distance) > tonumber(ARGV[9]) then return nil, distance end
        if seen(name, storage, ttl, tags) then return name, distance end
      end
    end
    if #found < 2 * k then return nil, '' end
    k = k * 4
  end
  return nil, ''
end

local distance = ''
if ARGV[6] ~= '' then
  if redis.call('EXISTS', KEYS[2]) == 1 then
    return redis.error_reply('BACKFILLING the search index does not hold every memory yet')
  end
  local original
  original, distance = look()
  if original then return {1, original, distance} end
end

local replaces = redis.call('EXISTS', key) == 1
if replaces then
  for i, name in ipairs({'user', 'namespace', 'kind'}) do
    if tag_of(key, storage, name) ~= tags[i] then
      return redis.error_reply('TAKEN the id belongs to a memory of another scope')
    end
  end
end

local time = redis.call('TIME')
local created = string.format('%d.%06d', time[1], time[2])
if storage == 'hash' then
  if replaces then redis.call('DEL', key) end -- not otherwise: a full server refuses only a first write
  redis.call('HSET', key, 'created_ts', created, unpack(ARGV, 11))
else
  redis.call('JSON.SET', key, '$', '{"created_ts":' .. created .. ',' .. string.sub(ARGV[11], 2))
end
if ttl == '' then redis.call('PERSIST', key) else redis.call('EXPIRE', key, ttl) end
return {0, key, distance}
