-- fold_session: let a new summary take the place of turns that have left a session's window, if nobody has changed
-- what it was made of: compare and set. The session's TTL and its times stay, for nobody has spoken.
--
--   KEYS[1]  the session's Hash
--   KEYS[2]  only if given: the list that holds its turns, newest first, which keeps them
--   ARGV[1]  the `folded_count` that was read, empty if there was none
--   ARGV[2]  the `summary` that was read, empty if there was none
--   ARGV[3]  the new summary
--   ARGV[4]  number of turns that it has taken in: the first of those that wait
--   ARGV[5]  those turns, oldest first, joined by ",\n"
--   ARGV[6]  only of a list: how many turns stand before them; else 0
--   result   1 if it was written, 0 if somebody else has folded, deleted or summed up meanwhile, or there is no
--            such session any more

local key, list = KEYS[1], KEYS[2]
local count, turns, before = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local stored = redis.call('HMGET', key, 'folded_count', 'summary', 'waiting_turns', 'thread_id')
if not stored[4] or (stored[1] or '') ~= ARGV[1] or (stored[2] or '') ~= ARGV[2] then return 0 end

local rest
local newest = ''
if list then
  local found, oldest_first = redis.call('LRANGE', list, -before - count, -before - 1), {}
  for i = #found, 1, -1 do oldest_first[#oldest_first + 1] = found[i] end
  if #found ~= count or table.concat(oldest_first, ',\n') ~= turns then return 0 end
  newest = found[1]
else
  -- Only write_session.lua writes the field, so it has its layout: "[ \n{…},\n{…}\n]".
  local waiting = stored[3] or ''
  local stop = 3 + #turns
  if string.sub(waiting, 1, 3) ~= '[ \n' or string.sub(waiting, 4, stop) ~= turns then return 0 end
  local behind = string.sub(waiting, stop + 1, stop + 2)
  if behind == '\n]' then
    rest = '[]'
  elseif behind == ',\n' then
    rest = '[ \n' .. string.sub(waiting, stop + 3)
  else
    return 0
  end
end

local folded = (list and before or tonumber(ARGV[1]) or 0) + count
redis.call('HSET', key, 'summary', ARGV[3], 'folded_count', string.format('%.0f', folded))
if list then
  redis.call('HSET', key, 'folded_last', string.sub(newest, 1, 200))
else
  redis.call('HSET', key, 'waiting_turns', rest)
end
return 1
