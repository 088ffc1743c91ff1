-- items: what the scripts of the store share; not a script of its own.
--
-- The keys of those scripts:
--   KEYS[1]  an item: a JSON document, or where the server has no JSON, a String
--   KEYS[2]  the record of its namespace: a sorted set of keys by expiry, epoch milliseconds, or inf
--   KEYS[3]  the record of namespaces: a sorted set of them by the expiry of their last item
--   KEYS[4]  the record of its user's namespaces, likewise; if it has a user
--
-- A record expires with the last of what is in it, and forgets what has expired at each write.

-- Return the time, in microseconds.
local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function whole(number) return string.format('%.0f', number) end

-- Return a member of a JSON document as JSON; '' if it has none of that name.
-- Each by its own plain path: not every server with JSON knows others.
local function member(key, name)
  return string.match(redis.call('JSON.GET', key, '$.' .. name) or '', '^%[(.*)%]$') or ''
end

-- Return the item at a key, or nil. Its text is the array of its members that a String holds, too.
local function stored(key)
  local kind = redis.call('TYPE', key)
  kind = type(kind) == 'table' and kind.ok or kind
  if kind == 'none' then return nil end
  local plain = kind == 'string'
  local foreign = kind == 'hash' or kind == 'list' or kind == 'set' or kind == 'zset' or kind == 'stream'
  local text
  if plain or foreign then
    text = redis.call('GET', key) -- of a foreign type, the error says so, also where there is no JSON module
  else
    local members = {}
    for i, name in ipairs({ 'created', 'updated', 'ttl', 'user', 'item' }) do members[i] = member(key, name) end
    text = '[' .. table.concat(members, ',') .. ']'
  end
  local created, updated, ttl, user = string.match(text, '^%[(%d+),(%d+),(%d+),"(%x*)",')
  if not created then error('the key holds no item of the store') end
  return { text = text, created = created, updated = updated, ttl = ttl, user = user, plain = plain }
end

-- Fail before anything is written, if a record is none.
local function check_records()
  for i = 2, #KEYS do redis.call('ZCARD', KEYS[i]) end
end

-- Drop what has expired from a record, have it expire with its last member, and return when that is.
local function last_expiry(record, ms)
  redis.call('ZREMRANGEBYSCORE', record, '-inf', '(' .. ms)
  local last = redis.call('ZRANGE', record, -1, -1, 'WITHSCORES')[2]
  if last == 'inf' then redis.call('PERSIST', record) elseif last then redis.call('PEXPIREAT', record, last) end
  return last
end

-- Bring the records of namespaces up to date with that of one namespace.
local function settle(namespace, ms)
  local last = last_expiry(KEYS[2], ms)
  for i = 3, #KEYS do
    if last then redis.call('ZADD', KEYS[i], last, namespace) else redis.call('ZREM', KEYS[i], namespace) end
    last_expiry(KEYS[i], ms)
  end
end

-- Have the item expire so many milliseconds from now, or not at all ('0'), and note it.
local function keep(namespace, key, ttl, ms)
  local expiry = 'inf'
  if ttl == '0' then
    redis.call('PERSIST', KEYS[1])
  else
    expiry = whole(tonumber(ms) + tonumber(ttl))
    redis.call('PEXPIREAT', KEYS[1], expiry)
  end
  redis.call('ZADD', KEYS[2], expiry, key)
  settle(namespace, ms)
end

