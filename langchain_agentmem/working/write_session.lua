-- write_session: every write to a session Hash. Appends turns, keeps the window, sets fields,
-- creates what is missing and refreshes the time to live, in one atomic step.
--
--   KEYS[1]   the session's Hash
--   KEYS[2]   only if given: a list that takes the turns in place of `recent_turns`, newest first, and
--             keeps all of them
--   ARGV[1]   now, epoch seconds
--   ARGV[2]   default time to live in seconds, 0 for none; the Hash's own `ttl_seconds` goes before it
--   ARGV[3]   window: how many turns are kept, 0 for all
--   ARGV[4]   number of turns to append
--   ARGV[5]   those turns: JSON objects, one a line, joined by ",\n"
--   ARGV[6]   thread_id ┐
--   ARGV[7]   user      ├ for a new session
--   ARGV[8]   agent     ┘
--   ARGV[9…]  field, value, field, value …: to be set whether they exist or not
--   result    turn_count after the write
--
-- `recent_turns` is one JSON list with one turn a line, "[ \n{…},\n{…}\n]". JSON strings hold no raw
-- line break, so the list is cut at line breaks, without decoding it: decoding would change data
-- (cjson turns [] into {} and rounds large numbers). The blank after the bracket, which no JSON
-- writer puts there, tells this layout from any other.

local key = KEYS[1]
local call, find, sub = redis.call, string.find, string.sub

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

-- The last `window` lines. A window does not begin with a tool's result whose call was cut off.
local function keep(lines, window)
  local count, at = 1, find(lines, '\n', 1, true)
  while at do
    count = count + 1
    at = find(lines, '\n', at + 1, true)
  end
  if count <= window then return lines end
  at = 0
  for _ = 1, count - window do at = find(lines, '\n', at + 1, true) end
  while at and find(lines, '^{%s*"role"%s*:%s*"tool"', at + 1) do at = find(lines, '\n', at + 1, true) end
  return at and sub(lines, at + 1) or ''
end

local stored = call('HMGET', key, 'thread_id', 'ttl_seconds', 'recent_turns')
local list = KEYS[2]
local there = list and call('LLEN', list) or 0 -- fails if it is no list, before anything is written
if stored[1] then there = 0 end -- counted already; else other programs wrote them
local count = tonumber(ARGV[4])
local turn_count = call('HINCRBY', key, 'turn_count', there + count) -- first: it fails if that is no number
if not stored[1] then
  local fields = {
    'thread_id', ARGV[6], 'user', ARGV[7], 'agent', ARGV[8], 'goal', '', 'scratchpad', '',
    'created_ts', ARGV[1], 'recent_turns', '[]',
  }
  for i = 1, #fields, 2 do call('HSETNX', key, fields[i], fields[i + 1]) end
end

if count > 0 and list then
  for turn in string.gmatch(ARGV[5] .. ',\n', '(.-),\n') do call('LPUSH', list, turn) end
  call('HSET', key, 'last_active_ts', ARGV[1])
elseif count > 0 then
  local lines, old = ARGV[5], stored[3] or ''
  if sub(old, 1, 3) == '[ \n' then
    old = sub(old, 4, -3)
  else
    old = lines_of(old)
  end
  if old ~= '' then lines = old .. ',\n' .. lines end
  local window = tonumber(ARGV[3])
  if window > 0 then lines = keep(lines, window) end
  lines = lines == '' and '[]' or '[ \n' .. lines .. '\n]'
  call('HSET', key, 'recent_turns', lines, 'last_active_ts', ARGV[1])
else
  call('HSET', key, 'last_active_ts', ARGV[1])
end
local own = tonumber(stored[2] or '')
for i = 9, #ARGV, 2 do
  call('HSET', key, ARGV[i], ARGV[i + 1])
  if ARGV[i] == 'ttl_seconds' then own = tonumber(ARGV[i + 1]) end
end
local ttl = own or tonumber(ARGV[2])
if ttl > 0 then
  call('EXPIRE', key, ttl)
  if list then call('EXPIRE', list, ttl) end
else
  call('PERSIST', key)
  if list and own then
    call('PERSIST', list)
  elseif list then -- an expiry that somebody else gave it stays, and is the session's
    local left = call('PTTL', list)
    if left > 0 then call('PEXPIRE', key, left) end
  end
end
return turn_count
