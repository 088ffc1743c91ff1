-- remember_near: store a memory, unless its scope holds nearly the same one already. One atomic step.
--
--   KEYS[1]    where the memory goes if it is new
--   KEYS[2]    there while the index is being backfilled
--   KEYS[3]    the memory it supersedes, which it is no duplicate of; only if ARGV[12] is not ''
--   ARGV[1]    'json' or 'hash'
--   ARGV[2…4]  tags of its user, namespace and kind
--   ARGV[5]    TTL in seconds; '' for none
--   ARGV[6]    search index
--   ARGV[7]    search condition: the scope
--   ARGV[8]    the embedding, as bytes
--   ARGV[9]    up to this distance a memory is the same
--   ARGV[10]   how long the search may take, in milliseconds
--   ARGV[11]   what the keys of memories begin with
--   ARGV[12]   the id of the memory it supersedes; ''
--   ARGV[13…]  the document except created_ts: JSON text, or field, value, field, value …
--   result     {1, key of the memory it is a duplicate of, its distance, whether that supersedes}
--              {0, KEYS[1], distance of the nearest memory or '', whether it supersedes}
--
-- The only keys it touches besides those are those the search finds. A server that allows no search
-- in a script, or no such key, answers with an error before anything is written.

local key, storage, ttl = KEYS[1], ARGV[1], ARGV[5]
local old = ARGV[12] ~= '' and KEYS[3]
local tags = {unpack(ARGV, 2, 4)}

-- Take the new memory for a duplicate of the nearest one that is alive, if that is near enough and can be
-- read. Expired ones still fill top-k slots, until they are touched.
local function look()
  local k, far = 1, false
  for _ = 1, 12 do
    local found = redis.call('FT.SEARCH', ARGV[6], ARGV[7] .. '=>[KNN $k @embedding $vector AS distance]',
      'PARAMS', 4, 'k', k, 'vector', ARGV[8], 'SORTBY', 'distance', 'LIMIT', 0, k,
      'RETURN', 1, 'distance', 'TIMEOUT', ARGV[10], 'DIALECT', 2)
    for i = 2, #found, 2 do
      local name, distance = found[i], found[i + 1][2]
      if name ~= old and redis.call('EXISTS', name) == 1 then
        local near = tonumber(distance) <= tonumber(ARGV[9])
        if readable(name, storage, tags) then return near and name or nil, distance end
        far = far or not near
      end
    end
    if far or #found < 2 * k then return nil, '' end
    k = k * 4
  end
  return nil, ''
end

if redis.call('EXISTS', KEYS[2]) == 1 then
  return redis.error_reply('BACKFILLING the search index does not hold every memory yet')
end
local original, distance = look()
local id = string.sub(original or key, #ARGV[11] + 1)
local supersedes = old and can_supersede(old, storage, {tags[1], tags[2]}, id)
if original then
  count(original, storage, ttl)
else
  put(key, storage, ttl, {unpack(ARGV, 13)})
end
if supersedes == 'yes' then supersede(old, storage, id) end
local done = supersedes == 'yes' or supersedes == 'done'
return {original and 1 or 0, original or key, distance, done and 1 or 0}
