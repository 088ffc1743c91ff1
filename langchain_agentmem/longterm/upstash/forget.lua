-- forget: delete the memories among some keys, only a user's and of a kind if these are given.
--
--   KEYS[1…n]  the keys; what is no JSON document stays
--   KEYS[n+…]  the pointers of the digests in ARGV[4…]; without any, pointers that go in any case
--   ARGV[1]    the user; '' for any
--   ARGV[2]    the kind; '' for any
--   ARGV[3]    n
--   ARGV[4…]   the digest each memory stands for by its pointer; or 'count', and nothing is deleted
--   result     {how many were or would be deleted, i, user, digest, i, user, digest, …}: KEYS[i] stays, for its pointer
--              was not passed

local scope = {userId = ARGV[1], kind = ARGV[2]}

-- The text that a member of a document is; nil if it is none.
local function member(key, name)
  local read = redis.pcall('JSON.GET', key, '$.' .. name)
  local parsed, values = pcall(cjson.decode, type(read) == 'string' and read or '')
  return parsed and type(values[1]) == 'string' and values[1] or nil
end

local function fits(key)
  for name, wanted in pairs(scope) do
    local read = redis.pcall('JSON.GET', key, '$.' .. name)
    if type(read) ~= 'string' then return false end -- gone, or of another type
    if wanted ~= '' and member(key, name) ~= wanted then return false end
  end
  return true
end

local n = tonumber(ARGV[3])
local result = {0}
for i = 1, n do
  if fits(KEYS[i]) then
    local same = member(KEYS[i], 'same') or ''
    if ARGV[4] == 'count' then
      result[1] = result[1] + 1
    elseif same ~= '' and same ~= ARGV[3 + i] then
      for _, value in ipairs({i, member(KEYS[i], 'userId') or '', same}) do table.insert(result, value) end
    else
      result[1] = result[1] + redis.call('UNLINK', KEYS[i])
      if same ~= '' and redis.pcall('GET', KEYS[n + i]) == KEYS[i] then redis.call('UNLINK', KEYS[n + i]) end
    end
  end
end
if not ARGV[4] then
  for i = n + 1, #KEYS do
    if type(redis.pcall('GET', KEYS[i])) == 'string' then redis.call('UNLINK', KEYS[i]) end
  end
end
return result
