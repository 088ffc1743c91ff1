-- remember: store a memory, unless its scope holds one that says the same. One atomic step, and no search.
--
--   KEYS[1]    the memory whose id is the digest of what is said
--   KEYS[2]    the pointer: the id of the memory that says it under another id
--   KEYS[3]    where a new one goes, in place of KEYS[1]; only if ARGV[7] is not ''
--   last KEY   the memory it supersedes; only if ARGV[10] is not ''
--   ARGV[1]    'json' or 'hash'
--   ARGV[2…4]  tags of its user, namespace and kind
--   ARGV[5]    TTL in seconds; '' for none
--   ARGV[6]    the digest
--   ARGV[7]    the id at KEYS[3]
--   ARGV[8]    '1' to count a duplicate as seen again, '' to leave it as it is
--   ARGV[9]    an id that the pointer led to in vain; ''
--   ARGV[10]   the id of the memory it supersedes; ''
--   ARGV[11…]  the document, as put takes it
--   result     {1, id of the duplicate, whether it supersedes}, {0, id of the new one, whether it supersedes},
--              {2, id that the pointer leads to}, or {3, ''} if KEYS[1] holds something else and ARGV[7] is ''
--
-- KEYS[1] and KEYS[2] are of one cluster slot. The others need not be: a server that minds answers with an
-- error before anything is written.

local key, pointer, old = KEYS[1], KEYS[2], ARGV[10] ~= '' and KEYS[#KEYS]
local storage, ttl, digest = ARGV[1], ARGV[5], ARGV[6]
local tags = {unpack(ARGV, 2, 4)}

local taken = redis.call('EXISTS', key) == 1
if taken and says(key, storage, tags, digest, digest) then
  local supersedes = old and old ~= key and can_supersede(old, storage, {tags[1], tags[2]}, digest)
  if ARGV[8] == '1' then count(key, storage, ttl) end
  if supersedes == 'yes' then supersede(old, storage, digest) end
  return {1, digest, (supersedes == 'yes' or supersedes == 'done') and 1 or 0}
end

local leads = redis.call('GET', pointer)
if leads and leads ~= ARGV[9] then
  if ARGV[8] == '1' then extend(pointer, ttl) end -- first: a pointer lives at least as long as its memory
  return {2, leads}
end

local id = digest
if ARGV[7] ~= '' then key, id = KEYS[3], ARGV[7] elseif taken then return {3, ''} end
local supersedes = old and can_supersede(old, storage, {tags[1], tags[2]}, id)
put(key, storage, ttl, {unpack(ARGV, 11)})
if id ~= digest then
  lead(pointer, id, ttl == '' and '' or ttl * 1000)
elseif leads then
  redis.call('DEL', pointer)
end
if supersedes == 'yes' then supersede(old, storage, id) end
return {0, id, supersedes == 'yes' and 1 or 0}
