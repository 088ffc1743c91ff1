-- forget: delete the memories among some keys, only a user's and of a kind if these are given.
--
--   KEYS[1…]  the keys; what is no JSON document stays
--   ARGV[1]   the user; '' for any
--   ARGV[2]   the kind; '' for any
--   result    how many were deleted

local function fits(key)
  for i, name in ipairs({'userId', 'kind'}) do
    local read = redis.pcall('JSON.GET', key, '$.' .. name)
    if type(read) ~= 'string' then return false end -- gone, or of another type
    if ARGV[i] ~= '' then
      local parsed, values = pcall(cjson.decode, read)
      if not parsed or values[1] ~= ARGV[i] then return false end
    end
  end
  return true
end

local removed = 0
for _, key in ipairs(KEYS) do
  if fits(key) then removed = removed + redis.call('UNLINK', key) end
end
return removed
