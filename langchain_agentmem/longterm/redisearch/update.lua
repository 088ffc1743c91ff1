-- update: change members of a memory, unless it is superseded. One atomic step.
--
--   KEYS[1]    the memory
--   ARGV[1]    'json' or 'hash'
--   ARGV[2…4]  tags of the user, namespace and kind it has to be of; '' for any
--   ARGV[5]    TTL in seconds; '' for none, 'keep' to leave it
--   ARGV[6]    the digest of its new text, '-' if nothing compares by it; '' if the text stays
--   ARGV[7]    '1' if its text has to be ARGV[8], or ARGV[9] already; ''
--   ARGV[8]    the text it has to have
--   ARGV[9]    its new text
--   ARGV[10…]  name, value; name, value … : for 'json', values are JSON text
--   result     {'updated', its TTL in milliseconds or -1, the digest it stands for under its id, digests whose
--              pointers lead to it and have to be deleted}, or {why it was not: see unchangeable}

local key, storage, ttl = KEYS[1], ARGV[1], ARGV[5]
local tags = {}
for i = 1, 3 do tags[i] = ARGV[i + 1] ~= '' and ARGV[i + 1] end

local refusal = unchangeable(key, storage, tags, ARGV[7] == '1' and ARGV[8], ARGV[9])
if refusal then return {refusal} end
local lost = change(key, storage, ARGV[6], {unpack(ARGV, 10)})
if ttl == '' then redis.call('PERSIST', key) elseif ttl ~= 'keep' then redis.call('EXPIRE', key, ttl) end
return {'updated', redis.call('PTTL', key), digest_of(key, storage, ''), lost}
