-- merge: make one memory of two of the same scope, if both still are as they were read. One atomic step.
--
--   KEYS[1…2]     the memory that stays, and the other one
--   KEYS[3…]      the memories that the other one supersedes, and then the pointers of the digests in ARGV
--   ARGV[1]       'json' or 'hash'
--   ARGV[2…4]     tags of user, namespace and kind
--   ARGV[5]       'delete' the other one; 'count', and supersede it; or 'supersede' it only
--   ARGV[6…7]     the ids of the two
--   ARGV[8…9]     their texts
--   ARGV[10…11]   their metadata as stored; '' for none
--   ARGV[12]      the metadata that the one that stays gets; '' to leave it
--   ARGV[13]      how often the other one was seen, if it is to be deleted: what it supersedes was read afterwards
--   ARGV[14]      the digest of what both say; '' if nothing compares by it
--   ARGV[15]      how many memories the other one supersedes
--   ARGV[16…]     digests
--   result        {0} if one of them is another now, and then nothing was written; else {1, digests whose pointers
--                 lead to the one that stays, and have to be deleted}
--
-- Whatever can fail comes before the first write. A server that allows no keys of several cluster slots answers
-- with an error before anything is written.

local kept, other, storage, how = KEYS[1], KEYS[2], ARGV[1], ARGV[5]
local tags, kept_id, other_id = {unpack(ARGV, 2, 4)}, ARGV[6], ARGV[7]
local digest, followed = ARGV[14], tonumber(ARGV[15])

-- A member that is a text; '' if there is none. One that is no text as JSON has it.
local function member(key, name)
  if storage == 'hash' then return redis.call('HGET', key, name) or '' end
  local stored = redis.call('JSON.GET', key, '$.' .. name) or '[]'
  if stored == '[]' or stored == '[null]' then return '' end
  local parsed, values = pcall(cjson.decode, stored)
  return parsed and type(values[1]) == 'string' and values[1] or stored
end

-- How often a memory was seen, as digits; numbers in Lua are not exact beyond 15.
local function hits(key)
  local found = storage == 'hash' and redis.call('HGET', key, 'hit_count')
    or redis.call('JSON.GET', key, '$.hit_count')
  found = string.match(found, '%d+')
  return #found <= 15 and not string.find(found, '^0%d') and found
end

local function is_as_read(key, text, metadata)
  return readable(key, storage, tags) and text_of(key, storage) == text and member(key, 'metadata') == metadata
    and hits(key)
end

if not (is_as_read(kept, ARGV[8], ARGV[10]) and is_as_read(other, ARGV[9], ARGV[11])) then return {0} end
if how == 'delete' and hits(other) ~= ARGV[13] then return {0} end

local leads, pointer_of = {}, {}
for i = 16, #ARGV do
  local pointer = KEYS[2 + followed + i - 15]
  pointer_of[ARGV[i]], leads[ARGV[i]] = pointer, redis.call('GET', pointer)
end
for word in string.gmatch(how == 'delete' and plain(other, storage, 'same') or '', '%x+') do
  if #word == 32 and not pointer_of[word] then return {0} end
end
local superseded = {}
for i = 3, 2 + followed do
  if redis.call('EXISTS', KEYS[i]) == 1 and in_scope(KEYS[i], storage, {tags[1], tags[2]})
    and member(KEYS[i], 'superseded_by') == other_id then
    superseded[#superseded + 1] = KEYS[i]
  end
end

local function set(key, name, value)
  if storage == 'hash' then
    redis.call('HSET', key, name, value)
  else
    redis.call('JSON.SET', key, '$.' .. name, cjson.encode(value))
  end
end

if how ~= 'supersede' then
  local seen = string.format('%.0f', tonumber(hits(other)) + 1)
  if storage == 'hash' then
    redis.call('HINCRBY', kept, 'hit_count', seen)
  else
    redis.call('JSON.NUMINCRBY', kept, '$.hit_count', seen)
  end
  if ARGV[12] ~= '' then set(kept, 'metadata', ARGV[12]) end
  outlive(kept, other)
end
if how ~= 'delete' then
  supersede(other, storage, kept_id)
  return {1, ''}
end

local lost = ''
if digest ~= '' and digest_of(kept, storage, kept_id) ~= digest then
  lost = note(kept, storage, digest, plain(kept, storage, 'same'))
end
for _, key in ipairs(superseded) do set(key, 'superseded_by', kept_id) end
redis.call('UNLINK', other)
for word, leads_to in pairs(leads) do
  if leads_to == other_id or (word == digest and kept_id == digest and leads_to) then
    redis.call('DEL', pointer_of[word])
  end
end
if digest ~= '' and kept_id ~= digest then
  local left = redis.call('PTTL', kept)
  lead(pointer_of[digest], kept_id, left < 0 and '' or left)
end
return {1, lost}
