-- put: the functions that scripts use which write memories. No script of its own.

local function now()
  local time = redis.call('TIME')
  return string.format('%d.%06d', time[1], time[2])
end

-- Write a memory in place of whatever its key holds, with its TTL in seconds ('' for none). `document` is
-- field, value, field, value …, or JSON text; without its '{' if it has no created_ts yet, which is now then.
-- (Of a text of 5 KB every copy counts: Lua collects its garbage while others wait.)
local function put(key, storage, ttl, document)
  if storage == 'hash' then
    -- Not otherwise: a full server refuses only a script's first write.
    if redis.call('EXISTS', key) == 1 then redis.call('DEL', key) end
    redis.call('HSET', key, 'created_ts', now(), unpack(document)) -- of two, the later one stays
  elseif string.byte(document[1]) == 123 then -- '{'
    redis.call('JSON.SET', key, '$', document[1])
  else
    redis.call('JSON.SET', key, '$', '{"created_ts":' .. now() .. ',' .. document[1])
  end
  if ttl == '' then redis.call('PERSIST', key) else redis.call('EXPIRE', key, ttl) end
end

-- Note the digest of what a memory says now ('' if nothing compares by it), before those that it stood for
-- under its id until now (`former`): their pointers may lead to it, and go when it goes. Returns those that
-- are too many to be noted.
local function note(key, storage, digest, former)
  local words, rest = {digest == '' and '-' or digest}, {}
  for one in string.gmatch(former or '', '%x+') do
    if one ~= digest then
      local list = #words < 16 and words or rest
      list[#list + 1] = one
    end
  end
  local same = table.concat(words, ' ')
  if storage == 'hash' then
    redis.call('HSET', key, 'same', same)
  else
    redis.call('JSON.SET', key, '$.same', '"' .. same .. '"')
  end
  return table.concat(rest, ' ')
end

-- Give a memory another id than the one in its document.
local function rename(key, storage, id)
  if storage == 'hash' then
    redis.call('HSET', key, 'id', id)
  else
    redis.call('JSON.SET', key, '$.id', cjson.encode(id))
  end
end

-- Let a pointer lead to a memory, with a TTL in milliseconds ('' for none).
local function lead(pointer, id, ttl)
  if ttl == '' then redis.call('SET', pointer, id) else redis.call('SET', pointer, id, 'PX', ttl) end
end

-- Whether a memory can be superseded: 'yes', or 'no' if it is gone or has been superseded by another. By the
-- same one again: 'done'. `owner` are tags of user and namespace; that of another one is an error.
local function can_supersede(key, storage, owner, by)
  if redis.call('EXISTS', key) == 0 then return 'no' end
  if not in_scope(key, storage, owner) then
    error('FOREIGN the memory to be superseded is of another user or namespace')
  end
  if storage == 'hash' then
    local old = redis.call('HGET', key, 'superseded_by')
    if old then return old == by and 'done' or 'no' end
    return redis.call('HEXISTS', key, 'text') == 1 and 'yes' or 'no'
  end
  local old = redis.call('JSON.GET', key, '$.superseded_by') or '[]'
  if old ~= '[]' then return cjson.decode(old)[1] == by and 'done' or 'no' end
  local types = redis.call('JSON.TYPE', key, '$.text')
  return types[1] == 'string' and 'yes' or 'no'
end

-- Keep a memory where no search finds it by its words, its context or its vector, linked to the one in its
-- place.
local function supersede(key, storage, by)
  if storage == 'hash' then
    local text, context = unpack(redis.call('HMGET', key, 'text', 'context'))
    redis.call('HSET', key, 'past', text, 'superseded_by', by, 'superseded_ts', now())
    if context then redis.call('HSET', key, 'past_context', context) end
    redis.call('HDEL', key, 'text', 'context', 'embedding')
  else
    local text = string.sub(redis.call('JSON.GET', key, '$.text'), 2, -2)
    local context = string.sub(redis.call('JSON.GET', key, '$.context'), 2, -2)
    redis.call('JSON.SET', key, '$.past', text)
    if context ~= '' then redis.call('JSON.SET', key, '$.past_context', context) end
    redis.call('JSON.SET', key, '$.superseded_by', cjson.encode(by))
    redis.call('JSON.SET', key, '$.superseded_ts', now())
    redis.call('JSON.DEL', key, '$.text')
    redis.call('JSON.DEL', key, '$.context')
    redis.call('JSON.DEL', key, '$.embedding')
  end
end

-- The text of a memory that can be read.
local function text_of(key, storage)
  if storage == 'hash' then return redis.call('HGET', key, 'text') end
  return cjson.decode(redis.call('JSON.GET', key, '$.text'))[1]
end

-- Why a memory of a scope cannot be changed: 'missing', 'superseded', 'unreadable', or 'text_changed' if its
-- text is neither `expected` (nil for any) nor already the new one; nil if it can be.
local function unchangeable(key, storage, tags, expected, text)
  if redis.call('EXISTS', key) == 0 or not in_scope(key, storage, tags) then return 'missing' end
  if plain(key, storage, 'superseded_by') then return 'superseded' end
  if not readable(key, storage, tags) then return 'unreadable' end
  if expected then
    local now_is = text_of(key, storage)
    if now_is ~= expected and now_is ~= text then return 'text_changed' end
  end
end

-- Change members of a memory: name, value; name, value … (for 'json', values are JSON text). With a new text,
-- `digest` is that of what it says, '-' if nothing compares by it, else ''. Returns what note does.
local function change(key, storage, digest, members)
  if digest ~= '' then
    members[#members + 1] = 'updated_ts'
    members[#members + 1] = now()
  end
  if storage == 'hash' then
    if #members > 0 then redis.call('HSET', key, unpack(members)) end
  else
    for i = 1, #members, 2 do redis.call('JSON.SET', key, '$.' .. members[i], members[i + 1]) end
  end
  return digest == '' and '' or note(key, storage, digest, plain(key, storage, 'same'))
end

