-- store: store a memory in any case, in place of what the same scope has at its key. One atomic step.
--
--   KEYS[1]      the memory
--   KEYS[2…3]    the memory whose id is the digest of what is said, and its pointer; only if ARGV[7] is not ''
--   last KEY     the memory it supersedes; only if ARGV[8] is not ''
--   ARGV[1]      'json' or 'hash'
--   ARGV[2…4]    tags of its user, namespace and kind
--   ARGV[5]      TTL in seconds; '' for none
--   ARGV[6]      its id
--   ARGV[7]      the digest, if it is another than the id and KEYS has its pointer; ''
--   ARGV[8]      the id of the memory it supersedes; ''
--   ARGV[9]      the digest; '' if nothing compares by it
--   ARGV[10…]    the document, as put takes it
--   result       {whether it supersedes, digests whose pointers lead to it, and have to be deleted}
--
-- The keys may be of several cluster slots: a server that minds answers with an error before anything is
-- written. The pointer leads to the memory if no other stands for the digest.

local key, storage, ttl, id, digest = KEYS[1], ARGV[1], ARGV[5], ARGV[6], ARGV[7]
local old = ARGV[8] ~= '' and KEYS[#KEYS]
local tags = {unpack(ARGV, 2, 4)}

local former
if redis.call('EXISTS', key) == 1 then
  if not in_scope(key, storage, tags) then
    return redis.error_reply('TAKEN the id belongs to a memory of another scope')
  end
  former = plain(key, storage, 'same')
end
local points = false
if digest ~= '' and not says(KEYS[2], storage, tags, digest, digest) then
  local leads = redis.call('GET', KEYS[3])
  points = not leads or leads == id
end
local supersedes = old and can_supersede(old, storage, {tags[1], tags[2]}, id)
put(key, storage, ttl, {unpack(ARGV, 10)})
local lost = former and note(key, storage, ARGV[9], former) or ''
if points then lead(KEYS[3], id, ttl == '' and '' or ttl * 1000) end
if supersedes == 'yes' then supersede(old, storage, id) end
return {supersedes == 'yes' and 1 or 0, lost}
