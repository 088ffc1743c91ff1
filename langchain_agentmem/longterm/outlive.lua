-- outlive: the function that every `merge` uses. No script of its own.

-- Extend a key's TTL to that of another key, if it is longer; no expiry is the longest.
local function outlive(key, other)
  local left, longer = redis.call('PTTL', key), redis.call('PTTL', other)
  if left < 0 then return end
  if longer < 0 then
    redis.call('PERSIST', key)
  elseif longer > left then
    redis.call('PEXPIRE', key, longer)
  end
end

