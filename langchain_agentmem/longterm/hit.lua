-- hit: the function that `remember` and `renew` begin with. No script of its own.

-- Count a memory as learnt again, and let it live as long again: its life is never shortened. Returns
-- false, and does nothing, if it is gone, or holds no memory that could be read.
local function hit(key, storage, ttl)
  if storage == 'hash' then
    local read = redis.call('HMGET', key, 'text', 'source_thread', 'hit_count', 'created_ts')
    if not (read[1] and read[2] and string.match(read[3] or '', '^%d+$') and tonumber(read[4] or '')) then
      return false
    end
    redis.call('HINCRBY', key, 'hit_count', 1)
  else
    for path, wanted in pairs({text = 'string', source_thread = 'string', hit_count = 'integer'}) do
      local types = redis.call('JSON.TYPE', key, '$.' .. path)
      if not types or types[1] ~= wanted then return false end
    end
    local types = redis.call('JSON.TYPE', key, '$.created_ts')
    if types[1] ~= 'number' and types[1] ~= 'integer' then return false end
    redis.call('JSON.NUMINCRBY', key, '$.hit_count', 1)
  end
  prolong(key, ttl)
  return true
end

