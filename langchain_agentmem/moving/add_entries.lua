-- add_entries: add those entries to a stream that it does not hold, each in its place.
--
--   KEYS[1]  the stream
--   ARGV[1]  the expiry of the other one, epoch milliseconds; 0 for never; '' to leave it
--   ARGV[2…] id, how many of what follows are fields and values, these; id …
--   result   the digest of the stream then
--
-- An entry whose id another entry has gets the next free one. Entries are written at the end if they are newer
-- than all others, else the stream is written anew.

local key, before = KEYS[1], redis.call('PEXPIRETIME', KEYS[1])

-- Ids as texts that sort as the ids do: beyond 2^53, numbers would not.
local function sortable(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return string.rep('0', 20 - #ms) .. ms .. '-' .. string.rep('0', 20 - #seq) .. seq
end

local function behind(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
end

local there, all = {}, {}
for i, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do
  there[entry[1]], all[i] = framed(entry[2]), entry
end
local old, last, at = #all, '', 2 -- `last`: before which no entry can be added, also if that one is gone
local info = before == -2 and {} or redis.call('XINFO', 'STREAM', key)
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then last = sortable(info[i + 1]) end
end
while at <= #ARGV do
  local id, count = ARGV[at], tonumber(ARGV[at + 1])
  local fields = {unpack(ARGV, at + 2, at + 1 + count)}
  local said = framed(fields)
  while there[id] and there[id] ~= said do id = behind(id) end
  if not there[id] then
    there[id] = said
    all[#all + 1] = {id, fields}
  end
  at = at + 2 + count
end
local first = old + 1
for i = first, #all do
  if sortable(all[i][1]) <= last then first = 1 end
  if first == 1 then break end
  last = sortable(all[i][1])
end
if #all > old then
  if first == 1 then
    redis.call('DEL', key)
    table.sort(all, function(one, other) return sortable(one[1]) < sortable(other[1]) end)
  end
  for i = first, #all do redis.call('XADD', key, all[i][1], unpack(all[i][2])) end
end
if ARGV[1] == '0' or (before == -1 and ARGV[1] ~= '') then
  redis.call('PERSIST', key)
elseif ARGV[1] ~= '' then
  redis.call('PEXPIREAT', key, math.max(before, tonumber(ARGV[1])))
elseif before > 0 then
  redis.call('PEXPIREAT', key, before)
end
return digest(key) or ''
