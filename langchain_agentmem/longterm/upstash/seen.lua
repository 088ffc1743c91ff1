-- seen: the functions that `remember` and `store` begin with. No script of its own.

-- Whether the one value a path leads to looks like this, as JSON text in brackets.
local function holds(key, name, pattern)
  return string.find(redis.call('JSON.GET', key, '$.' .. name) or '', pattern) ~= nil
end

-- Count a memory as seen again, and extend its TTL. Returns false, and does nothing, if it is gone, or
-- holds no memory that could be read.
local function seen(key, ttl)
  for _, name in ipairs({'text', 'userId', 'kind'}) do
    if not holds(key, name, '^%["') then return false end
  end
  if not holds(key, 'createdAt', '^%[%-?%d') then return false end
  if holds(key, 'hitCount', '^%[%]$') then
    redis.call('JSON.SET', key, '$.hitCount', '1')
  elseif holds(key, 'hitCount', '^%[%d+%]$') then
    redis.call('JSON.NUMINCRBY', key, '$.hitCount', '1')
  else
    return false
  end
  extend(key, ttl)
  return true
end

-- The words of a text, and how many different ones.
local function words_of(text)
  local words, count = {}, 0
  for word in string.gmatch(string.lower(text), '[%w\128-\255]+') do
    if not words[word] then words[word], count = true, count + 1 end
  end
  return words, count
end

-- Whether a memory has at least half of all different words in common with a text. A score alone does not
-- say that they mean the same: one rare word in common is worth a high one.
local function alike(key, text)
  local parsed, found = pcall(cjson.decode, redis.call('JSON.GET', key, '$.text') or '')
  if not parsed or type(found[1]) ~= 'string' then return false end
  local theirs, total = words_of(found[1])
  local common = 0
  for word in pairs((words_of(text))) do
    if theirs[word] then common = common + 1 else total = total + 1 end
  end
  return common * 2 >= total
end

-- Store a memory, unless it is there already or `look` names one that is the same. `look` returns a key
-- or nil, and 1 if there is no search index, else 0.
local function store(key, ttl, document, look)
  if redis.call('EXISTS', key) == 1 then
    if seen(key, ttl) then return {1, key, 0} end
    return redis.error_reply('TAKEN what is stored there is no memory')
  end
  local found, missing = look()
  if found and alike(found, cjson.decode(document)['text']) and seen(found, ttl) then
    return {1, found, 0}
  end
  redis.call('JSON.SET', key, '$', document)
  if ttl ~= '' then redis.call('EXPIRE', key, ttl) end
  return {0, key, missing}
end

