-- merge: make one memory of two of the same user and kind that say the same. One atomic step.
--
--   KEYS[1…2]   the memory that stays, and the other one
--   KEYS[3…5]   the pointers of the digest of what both say, and of those that the two stand for by a pointer; the
--               first one again in place of one that is none
--   KEYS[6…]    the memories that the other one supersedes
--   ARGV[1…2]   the user and the kind
--   ARGV[3…4]   the texts of the two
--   ARGV[5…6]   their metadata as stored; '' for none
--   ARGV[7]     the metadata that the one that stays gets: a JSON string; '' to leave it
--   ARGV[8]     how often the other one was seen: what it supersedes was read afterwards
--   ARGV[9]     the digest
--   ARGV[10]    '1' if the id of the one that stays is the digest
--   ARGV[11…12] the digests that the two stand for by a pointer; '' for none
--   ARGV[13]    how many bytes of a key stand before the id
--   result      1, or 0 if one of them is another now, and then nothing was written

local kept, other = KEYS[1], KEYS[2]

local function metadata_of(key)
  local stored = redis.call('JSON.GET', key, '$.metadata') or '[]'
  if stored == '[]' or stored == '[null]' then return '' end
  local parsed, values = pcall(cjson.decode, stored)
  return parsed and type(values[1]) == 'string' and values[1] or stored
end

local function id_of(key) return cjson.encode(string.sub(key, ARGV[13] + 1)) end

-- The digest that a memory stands for by a pointer; '' for none.
local function same_of(found) return type(found.same) == 'string' and found.same or '' end

local stays, goes = memory(kept), memory(other)
for i, found in ipairs({stays or false, goes or false}) do
  if not (found and found.userId == ARGV[1] and found.kind == ARGV[2] and found.text == ARGV[2 + i]
    and metadata_of(KEYS[i]) == ARGV[4 + i] and (found.hitCount or 0) < 1e15) then
    return 0
  end
end
if string.format('%.0f', goes.hitCount or 0) ~= ARGV[8] or same_of(goes) ~= ARGV[12] then return 0 end
local stands_for = same_of(stays) -- another merge into it may have made it stand for the digest
if stands_for ~= '' and stands_for ~= ARGV[9] and stands_for ~= ARGV[11] then return 0 end
local leads = {}
for i = 3, 5 do leads[i] = redis.call('GET', KEYS[i]) end
local superseded = {}
for i = 6, #KEYS do
  local by = redis.call('JSON.GET', KEYS[i], '$.supersededBy')
  if by and cjson.decode(by)[1] == string.sub(other, ARGV[13] + 1) then superseded[#superseded + 1] = KEYS[i] end
end

local seen = string.format('%.0f', (goes.hitCount or 0) + 1)
if stays.hitCount == nil then
  redis.call('JSON.SET', kept, '$.hitCount', seen)
else
  redis.call('JSON.NUMINCRBY', kept, '$.hitCount', seen)
end
if ARGV[7] ~= '' then redis.call('JSON.SET', kept, '$.metadata', ARGV[7]) end
outlive(kept, other)
for _, key in ipairs(superseded) do redis.call('JSON.SET', key, '$.supersededBy', id_of(kept)) end
redis.call('UNLINK', other)
for i = 3, 5 do
  if leads[i] == other or leads[i] == kept then redis.call('DEL', KEYS[i]) end
end
if ARGV[10] == '1' then
  if stays.same ~= nil then redis.call('JSON.DEL', kept, '$.same') end
else
  redis.call('JSON.SET', kept, '$.same', '"' .. ARGV[9] .. '"')
  point(KEYS[3], kept)
end
return 1
