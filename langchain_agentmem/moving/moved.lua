-- moved: functions for scripts that move keys. They come before the script that uses them.

local function type_of(key)
  local found = redis.call('TYPE', key)
  return type(found) == 'table' and found.ok or found
end

-- Join parts so that no others give the same text.
local function framed(parts)
  local out = {}
  for i, part in ipairs(parts) do out[i] = #part .. ':' .. part end
  return table.concat(out)
end

-- A vector of a JSON document with as many digits as a float32 has. The JSON module rounds a number with more, or a
-- very small one, whenever it parses it: a copy, or the document itself after a restart, may differ in the last digit.
local function steady(vector)
  return (string.gsub(vector, '[^,:%[%]]+', function(number)
    if #number > 16 or string.find(number, 'e-', 1, true) then
      return string.format('%.9g', tonumber(number) or 0)
    end
  end))
end

-- What a key holds, as a text that is the same for the same content on any server: DUMP is not, as a server
-- orders the fields of a Hash by numbers of its own.
local function content(key, kind)
  if kind == 'string' then return redis.call('GET', key) end
  if kind == 'list' then return framed(redis.call('LRANGE', key, 0, -1)) end
  if kind == 'set' then
    local members = redis.call('SMEMBERS', key)
    for i, member in ipairs(members) do members[i] = redis.sha1hex(member) end
    table.sort(members)
    return table.concat(members)
  end
  if kind == 'zset' then return framed(redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')) end
  local lines = {}
  if kind == 'hash' then
    local flat = redis.call('HGETALL', key)
    for i = 1, #flat, 2 do lines[#lines + 1] = redis.sha1hex(framed({flat[i], flat[i + 1]})) end
    table.sort(lines) -- of hexadecimal digits, whose order is the same in every locale
    return table.concat(lines)
  end
  if kind == 'stream' then
    for i, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do
      lines[i] = framed({entry[1], framed(entry[2])})
    end
    local info = redis.call('XINFO', 'STREAM', key)
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then lines[#lines + 1] = info[i + 1] end
    end
    return table.concat(lines)
  end
  return (string.gsub(redis.call('JSON.GET', key), '"embedding":%b[]', steady))
end

-- A digest has ten digits of what a key holds, and six of when it expires: milliseconds, or this for never.
local NEVER = 0xffffff
local APART = 5000 -- as in digests.py

-- The digest of what a key holds and of when it expires, how many bytes it holds, and when it expires, in epoch
-- milliseconds (0 for never); nil if there is no such key.
local function digest(key)
  local kind = type_of(key)
  if kind == 'none' then return nil end
  local expiry, held = redis.call('PEXPIRETIME', key), content(key, kind)
  local what = string.sub(redis.sha1hex(kind .. ' ' .. redis.sha1hex(held)), 1, 10)
  return what .. string.format('%06x', expiry < 0 and NEVER or expiry % NEVER), #held, math.max(expiry, 0)
end

-- Whether two digests are of the same, as digests.alike has it.
local function alike(one, other)
  if one == other then return true end
  if string.sub(one, 1, 10) ~= string.sub(other, 1, 10) then return false end
  local first, second = tonumber(string.sub(one, 11), 16), tonumber(string.sub(other, 11), 16)
  if first == NEVER or second == NEVER then return false end
  local apart = math.abs(first - second)
  return math.min(apart, NEVER - apart) <= APART
end

-- The digest of what a key holds if it is there and not as it was expected to be: then it is left as it is.
local function in_the_way(key, expected)
  local found = digest(key)
  if found and not alike(found, expected) then return found end
end

-- Give a key the content of a DUMP. If it has expired meanwhile, there is no such key then.
local function restore(key, expiry, payload)
  redis.call('RESTORE', key, expiry, payload, 'REPLACE', 'ABSTTL')
end

-- What tells whose a memory is: its members `user` and `exact`, of a JSON document as JSON arrays.
local function whose(key, kind)
  if kind == 'hash' then return redis.call('HMGET', key, 'user', 'exact') end
  if kind ~= 'ReJSON-RL' then return false end
  return {redis.call('JSON.GET', key, '$.user'), redis.call('JSON.GET', key, '$.exact')}
end
