-- remember: store a memory, unless its scope holds one that says the same. One atomic step, and no search.
--
--   KEYS[1]    the memory whose id is the digest of what is said
--   KEYS[2]    the pointer: the id of the memory that says it under another id
--   KEYS[3]    where a new one goes, if KEYS[1] holds something else; only if ARGV[7] is not ''
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

local fresh = ARGV[7] ~= ''
local what, id, supersedes = learn(ARGV[1], {unpack(ARGV, 2, 4)}, {
  key = KEYS[1], id = ARGV[6], digest = ARGV[6], ttl = ARGV[5], pointer = KEYS[2],
  reach = function(leads) if leads == ARGV[9] then return false end end,
  fresh_key = fresh and KEYS[3], fresh = fresh and ARGV[7],
  old = ARGV[10] ~= '' and KEYS[#KEYS],
  counts = ARGV[8] == '1',
  document = {unpack(ARGV, 11)},
})
if what == 'elsewhere' then return {2, id} end
if what == 'taken' then return {3, ''} end
return {what == 'known' and 1 or 0, id, supersedes and 1 or 0}
