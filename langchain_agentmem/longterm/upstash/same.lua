-- same: the function that `remember`, `near` and `near_found` end with. No script of its own.
--
--   KEYS[1]    where the memory goes if that is free; its name comes of the digest
--   KEYS[2]    the pointer of the digest: holds the key of the memory that stands for it under another name
--   KEYS[3]    where the memory goes otherwise
--   KEYS[4]    the memory it replaces, if ARGV[5] is '1'
--   KEYS[…]    memories that may say the same
--   ARGV[1]    TTL in seconds; '' for none
--   ARGV[2]    the document: JSON text
--   ARGV[3]    the digest; '' stores without looking
--   ARGV[4]    'count' if a duplicate counts as seen, 'leave' if it is left as it is, 'new' if the memory is
--              stored at KEYS[3] in any case
--   ARGV[5]    '1' if KEYS[4] is to be replaced
--   ARGV[6]    how many bytes of a key stand before the id
--   ARGV[7…9]  what `look` needs
--   ARGV[10…]  the text that each of KEYS[…] had when the caller found that it says the same; '' if it
--              has to say so itself
--   result     {1, key of the memory it is a duplicate of, 1 if KEYS[4] was replaced else 0}
--              {0, key it is stored at, 1 if KEYS[4] was replaced else 0}
--              {2, key}: the pointer leads there; call again with it among KEYS[…]; nothing was written

local document = cjson.decode(ARGV[2])
local digest, duplicates, others = ARGV[3], ARGV[4], ARGV[5] == '1' and 5 or 4

local function in_scope(found)
  return found and found.userId == document.userId and found.kind == document.kind
end

-- The memory at KEYS[1], if it stands for the digest that its name is; else nil.
local function first_standing()
  local first = memory(KEYS[1])
  return in_scope(first) and (first.same or digest) == digest and first or nil
end

-- Return the key of the memory that stands for the digest, and the memory; or nil, and the key that has to
-- be passed to know.
local function find()
  local first = first_standing()
  if first then return KEYS[1], first end
  local pointed = redis.call('GET', KEYS[2])
  local at, said
  for i = 4, #KEYS do
    local found = memory(KEYS[i])
    if in_scope(found) and found.same == digest then
      if KEYS[i] == pointed then return pointed, found end
      at, said = KEYS[i], found
    elseif KEYS[i] == pointed then
      pointed = false
    elseif in_scope(found) and not found.same and i >= others and found.text == ARGV[10 + i - others] then
      at, said = KEYS[i], found
    end
  end
  if pointed then return nil, pointed end
  return at, said
end

-- Take a memory out of every search, and link it to the one that replaces it; what it said is kept.
local function supersede(key, by)
  for name, past in pairs({text = 'past', context = 'pastContext'}) do
    local value = string.match(redis.call('JSON.GET', key, '$.' .. name) or '', '^%[(.+)%]$')
    if value then redis.call('JSON.SET', key, '$.' .. past, value) end
  end
  redis.call('JSON.SET', key, '$.supersededAt', string.format('%.0f', document.createdAt))
  redis.call('JSON.SET', key, '$.supersededBy', cjson.encode(string.sub(by, ARGV[6] + 1)))
  redis.call('JSON.DEL', key, '$.text')
  redis.call('JSON.DEL', key, '$.context')
end

-- Store the memory. One under another name than its digest says which it stands for.
local function put()
  local new = duplicates == 'new'
  local free = not new and redis.call('EXISTS', KEYS[1]) == 0
  local key = free and KEYS[1] or KEYS[3]
  local stands = not new or digest ~= '' and not first_standing() and not redis.call('GET', KEYS[2])
  local said = free and '{' or '{"same":"' .. digest .. '",'
  redis.call('JSON.SET', key, '$', said .. string.sub(ARGV[2], 2))
  if ARGV[1] ~= '' then redis.call('EXPIRE', key, ARGV[1]) end
  if free then
    redis.call('DEL', KEYS[2]) -- it led to what no longer stands for the digest
  elseif stands then
    point(KEYS[2], key)
  end
  return key
end

-- Store the memory, unless one that says the same is there, or `look` names one.
local function remember(look)
  local old = others == 5 and memory(KEYS[4])
  if old and old.userId ~= document.userId then
    return redis.error_reply('SCOPE the memory to be replaced is of another user')
  end
  local key, found, elsewhere
  if digest ~= '' and duplicates ~= 'new' then
    key, found = find()
    if found and not key then return {2, found} end
    elsewhere = key and key ~= KEYS[1]
    key = key or look()
    found = found or key and memory(key)
    if not in_scope(found) then key = nil end
  end
  if key and duplicates == 'count' then seen(key, found, ARGV[1]) end
  if elsewhere then
    if not found.same then redis.call('JSON.SET', key, '$.same', '"' .. digest .. '"') end
    point(KEYS[2], key) -- for as long as the memory is there now
  end
  local known = key and 1 or 0
  key = key or put()
  local replaces = old and key ~= KEYS[4]
  if replaces then supersede(KEYS[4], key) end
  return {known, key, replaces and 1 or 0}
end

