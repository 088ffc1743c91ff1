-- write_session: every write to a session Hash. Appends turns, in place of some if asked, keeps the window,
-- sets fields, creates what is missing and extends the TTL, in one atomic step.
--
--   KEYS[1]   the session's Hash
--   KEYS[2]   only if given: a list that takes the turns in place of `recent_turns`, newest first, and
--             keeps all of them; the Hash's field `list` names it
--   ARGV[1]   now, epoch seconds
--   ARGV[2]   default TTL in seconds, 0 for none; the Hash's own `ttl_seconds` goes before it
--   ARGV[3]   window: how many turns are kept, 0 for all
--   ARGV[4]   number of turns to append
--   ARGV[5]   those turns: JSON objects, one per line, joined by ",\n"
--   ARGV[6]   thread_id ┐
--   ARGV[7]   user      ├ for a new session
--   ARGV[8]   agent     ┘
--   ARGV[9]   the user whose session it must be, if it is anybody's; empty for whoever's it is
--   ARGV[10]  number of turns that are replaced, if the session ends with exactly these
--   ARGV[11]  those turns, as in ARGV[5]
--   ARGV[12]  1 to write nothing if they are not replaced, else 0
--   ARGV[13…] field, value, field, value …: to be set whether they exist or not
--   result    turn_count after the write; nil if nothing was written because nothing was replaced;
--             the error OWNED if the session is another user's, and nothing was written
--
-- `recent_turns` is one JSON list with one turn per line, "[ \n{…},\n{…}\n]". JSON strings hold no raw
-- line break, so the list is cut at line breaks, without decoding it: decoding would change data
-- (cjson turns [] into {} and rounds large numbers). The blank after the bracket, which no JSON
-- writer puts there, tells this layout from any other.

local key, list, new = KEYS[1], KEYS[2], ARGV[5]
local call, find, sub, byte = redis.call, string.find, string.sub, string.byte

-- A whole number from 0 to `most` in a field that other programs write too; nil if it holds anything else.
local function whole(text, most)
  local number = text and find(text, '^%d+%.?0*$') and tonumber(text)
  return number and number <= most and number or nil
end

-- A JSON list of any other layout as lines of its elements. What is no list is kept, as one line.
local function lines_of(text)
  if not find(text, '^%s*%[') then return (string.gsub(text, '[\r\n]', ' ')) end
  local elements, depth, start, at = {}, 0, nil, 1
  while true do
    local found = find(text, '["%[%]{},]', at)
    if not found then break end
    local char = sub(text, found, found)
    if char == '"' then
      repeat
        found = find(text, '["\\]', found + 1)
        local escape = found and sub(text, found, found) == '\\'
        if escape then found = found + 1 end
      until not escape
      if not found then break end
    elseif char == '[' or char == '{' then
      depth = depth + 1
      if depth == 1 then start = found + 1 end
    else
      if depth == 1 then
        local element = sub(text, start, found - 1)
        if find(element, '%S') then elements[#elements + 1] = element end
        start = found + 1
      end
      if char ~= ',' then depth = depth - 1 end
    end
    at = found + 1
  end
  if depth ~= 0 or not start then
    local rest = sub(text, start or 1)
    if find(rest, '%S') then elements[#elements + 1] = rest end
  end
  for i, element in ipairs(elements) do
    elements[i] = string.gsub(string.gsub(element, '^%s+', ''), '[\r\n]', ' ')
  end
  return table.concat(elements, ',\n')
end

-- The turns of the Hash, one per line: a text, where in it they begin and end, and how many they are. A list
-- that only begins like ours may end or be broken elsewhere: then a line begins as none of ours does.
local function stored_lines(text)
  local last, brace = #text - 2, 123
  if sub(text, 1, 3) == '[ \n' and sub(text, -2) == '\n]' then
    local count, at = 0, 3
    while at <= last and (byte(text, at + 1) == brace or not find(text, '^[%s%]%[},:"%d%-]', at + 1)) do
      count, at = count + 1, find(text, '\n', at + 1, true)
    end
    if at > last then return text, 4, last, count end
  end
  text = lines_of(text)
  local count, at = text == '' and 0 or 1, find(text, '\n', 1, true)
  while at do count, at = count + 1, find(text, '\n', at + 1, true) end
  return text, 1, #text, count
end

-- Where a text goes on behind its first lines and the tools' results that follow them: a window does not begin
-- with one, because its call was cut off.
local function behind(lines, text, first, last)
  while first <= last and (lines > 0 or find(text, '^{%s*"role"%s*:%s*"tool"', first)) do
    first, lines = (find(text, '\n', first, true) or last) + 1, lines - 1
  end
  return first
end

-- Read, and look at, everything that the write depends on: whatever fails comes before it.
local stored = call('HMGET', key, 'thread_id', 'ttl_seconds', 'recent_turns', 'turn_count', 'user')
local user = stored[5]
if ARGV[9] ~= '' and user and user ~= '' and user ~= 'default' and user ~= ARGV[9] then
  return redis.error_reply('OWNED the session is another user\'s')
end
local count, replaced = tonumber(ARGV[4]), tonumber(ARGV[10])
local counted = whole(stored[4], 2^53 - 1)
local text, first, last, lines, left = '', 1, 0, 0, -1
if list then
  local there = call('LLEN', list) -- fails if it is no list
  counted, left = counted or there, call('PTTL', list)
  local tail, newest = {}, replaced > 0 and call('LRANGE', list, 0, replaced - 1) or {}
  for i = #newest, 1, -1 do tail[#tail + 1] = newest[i] end
  if #tail < replaced or table.concat(tail, ',\n') ~= ARGV[11] then replaced = 0 end
elseif count + replaced > 0 or not counted then
  text, first, last, lines = stored_lines(stored[3] or '')
  counted = counted or lines -- what other programs wrote, and nobody has counted
  local rest = last - #ARGV[11]
  local ends = replaced > 0 and sub(text, rest + 1, last) == ARGV[11]
  if ends and (rest < first or sub(text, rest - 1, rest) == ',\n') then
    last, lines = rest - 2, lines - replaced
  else
    replaced = 0
  end
end
if replaced == 0 and ARGV[12] == '1' then return false end
local turn_count = counted + count - replaced

if not stored[1] then
  local first_fields = {
    'thread_id', ARGV[6], 'user', ARGV[7], 'agent', ARGV[8], 'goal', '', 'scratchpad', '',
    'created_ts', ARGV[1], 'recent_turns', '[]',
  }
  for i = 1, #first_fields, 2 do call('HSETNX', key, first_fields[i], first_fields[i + 1]) end
end
local fields = {'turn_count', string.format('%.0f', turn_count), 'last_active_ts', ARGV[1]}
if list then
  fields[5], fields[6] = 'list', list
  if replaced > 0 then call('LTRIM', list, replaced, -1) end
  if count > 0 then
    for turn in string.gmatch(new .. ',\n', '(.-),\n') do call('LPUSH', list, turn) end
  end
elseif count + replaced > 0 then
  local window = tonumber(ARGV[3])
  local surplus = window > 0 and lines + count - window or 0
  if surplus > 0 then
    first = behind(surplus, text, first, last)
    if first > last then new = sub(new, behind(surplus - lines, new, 1, #new)) end
  end
  fields[5] = 'recent_turns'
  if first > last then
    fields[6] = new == '' and '[]' or '[ \n' .. new .. '\n]'
  else
    fields[6] = '[ \n' .. sub(text, first, last) .. (new == '' and '' or ',\n') .. new .. '\n]'
  end
end
call('HSET', key, unpack(fields))
local own = stored[2]
for i = 13, #ARGV, 2 do
  call('HSET', key, ARGV[i], ARGV[i + 1])
  if ARGV[i] == 'ttl_seconds' then own = ARGV[i + 1] end
end
own = whole(own, 2147483647)
local ttl = own or tonumber(ARGV[2])
if ttl > 0 then
  call('EXPIRE', key, ttl)
  if list then call('EXPIRE', list, ttl) end
else
  call('PERSIST', key)
  if list and own then
    call('PERSIST', list)
  elseif list and left > 0 then -- an expiry that somebody else gave it stays, and is the session's
    call('PEXPIRE', key, left)
    call('PEXPIRE', list, left) -- which it has lost if all its turns were replaced
  end
end
return turn_count
