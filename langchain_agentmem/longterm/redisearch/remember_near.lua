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
--   ARGV[13…]  the document, as put takes it
--   result     {1, key of the memory it is a duplicate of, its distance, whether that supersedes}
--              {0, KEYS[1], distance of the nearest memory or '', whether it supersedes}
--
-- The only keys it touches besides those are those the search finds. A server that allows no search
-- in a script, or no such key, answers with an error before anything is written.

local key, storage, ttl = KEYS[1], ARGV[1], ARGV[5]
local old = ARGV[12] ~= '' and KEYS[3]
local tags = {unpack(ARGV, 2, 4)}

if redis.call('EXISTS', KEYS[2]) == 1 then
  return redis.error_reply('BACKFILLING the search index does not hold every memory yet')
end
local original, distance = look(storage, tags, {
  index = ARGV[6], condition = ARGV[7], vector = ARGV[8], most = ARGV[9], timeout = ARGV[10], old = old, call = redis.call,
})
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
