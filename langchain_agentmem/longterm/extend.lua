-- extend: the function that every `seen` uses. No script of its own.

-- Extend a key's TTL to so many seconds ('' for no expiry); a TTL is never shortened.
local function extend(key, ttl)
  local left = redis.call('PTTL', key)
  if left < 0 then return end
  if ttl == '' then
    redis.call('PERSIST', key)
  elseif left < ttl * 1000 then
    redis.call('EXPIRE', key, ttl)
  end
end

