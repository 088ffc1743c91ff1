-- prolong: the function that every `hit` uses. No script of its own.

-- Let a key live as long again, in seconds ('' for ever): its life is never shortened.
local function prolong(key, ttl)
  local left = redis.call('PTTL', key)
  if left < 0 then return end
  if ttl == '' then
    redis.call('PERSIST', key)
  elseif left < ttl * 1000 then
    redis.call('EXPIRE', key, ttl)
  end
end

