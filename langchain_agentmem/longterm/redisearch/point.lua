-- point: let the pointer of a digest lead to a memory, unless another one stands for the digest.
--
--   KEYS[1]    the memory whose id is the digest
--   KEYS[2]    the pointer
--   ARGV[1]    'json' or 'hash'
--   ARGV[2…4]  tags of user, namespace and kind
--   ARGV[5]    the digest
--   ARGV[6]    the memory's id
--   ARGV[7]    its TTL in milliseconds; '' for none
--   ARGV[8]    an id that the pointer led to in vain; ''
--   ARGV[9]    '1' to extend the TTL only, of a pointer that leads to the memory already
--   result     the id of the memory that stands for the digest now; '' if none does

local pointer, digest, id, ttl = KEYS[2], ARGV[5], ARGV[6], ARGV[7]

local leads = redis.call('GET', pointer)
if ARGV[9] == '1' then
  if leads == id then extend(pointer, ttl == '' and '' or ttl / 1000) end
  return leads or ''
end
if says(KEYS[1], ARGV[1], {unpack(ARGV, 2, 4)}, digest, digest) then return digest end
if leads and leads ~= id and leads ~= ARGV[8] then return leads end
lead(pointer, id, ttl)
return id
