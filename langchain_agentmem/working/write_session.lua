-- write_session: every write to a session Hash. Appends turns, takes out turns, keeps the window, sets fields,
-- creates what is missing and extends the TTL, in one atomic step.
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
--   ARGV[10]  number of turns to take out, wherever they stand
--   ARGV[11]  those turns, oldest first, as in ARGV[5]
--   ARGV[12]  0  the new ones replace them: those that are there are taken out, of equal ones the newest
--             1  the same, and nothing is written if one is missing
--             2  they are deleted, those that are there, and nothing is written if there is none; of equal
--                ones the newest. Deleted ones stay counted in turn_count, replaced ones do not.
--             3  the same, but of equal ones the oldest, and what else is to be written is written in any case
--   ARGV[13]  only with 3: turns that are to stand before all others, as in ARGV[5]. One that is among those
--             to take out was read there, and stays away if somebody else has taken it out meanwhile
--   ARGV[14]  how many turns that leave the Hash's window may wait in `waiting_turns` to be folded into the
--             summary; beyond that the oldest are dropped, and counted in `dropped_count`. 0: none waits. A list
--             keeps what has left the window itself
--   ARGV[15]  turns to take out of those that wait, as in ARGV[5]; only with 2 and 3, and they count as taken out
--   ARGV[16…] field, value, field, value …: to be set whether they exist or not. In place of a field, `note`
--             adds a line to the field `scratchpad`, which keeps as many bytes of its newest lines as a
--             `note_bytes` before it says
--   result    turn_count after the write; with 2 and 3, a list of it and of how many turns were taken out;
--             nil if nothing was written; the error OWNED if the session is another user's, and nothing was
--             written
--
-- `recent_turns` is one JSON list with one turn per line, "[ \n{…},\n{…}\n]". JSON strings hold no raw
-- line break, so the list is cut at line breaks, without decoding it: decoding would change data
-- (cjson turns [] into {} and rounds large numbers). The blank after the bracket, which no JSON
-- writer puts there, tells this layout from any other. `waiting_turns` has the same layout.
--
-- `folded_count` says how many turns have been folded into the summary (fold_session.lua). In a list these are
-- its oldest, and `folded_last` is how the newest of them begins; both change with what is taken out there.

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
    elements[i] = string.gsub(string.match(element, '^%s*(.*%S)'), '[\r\n]', ' ')
  end
  return table.concat(elements, ',\n')
end

-- How many lines a text has.
local function count_lines(text)
  local count, at = text == '' and 0 or 1, find(text, '\n', 1, true)
  while at do count, at = count + 1, find(text, '\n', at + 1, true) end
  return count
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
  return text, 1, #text, count_lines(text)
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
local count, asked, how = tonumber(ARGV[4]), tonumber(ARGV[10]), tonumber(ARGV[12])
local most_waiting, unwanted = tonumber(ARGV[14]), ARGV[15]
local edits = asked > 0 or how == 3 or unwanted ~= ''
local split, tally, without, leading
if edits then -- the ordinary append, which takes nothing out, does not pay for these
  -- The lines of a text like ARGV[5], oldest first.
  function split(text)
    local all = {}
    if text ~= '' then
      for line in string.gmatch(text .. ',\n', '(.-),\n') do all[#all + 1] = line end
    end
    return all
  end

  -- How often each line stands among these.
  function tally(all)
    local times = {}
    for _, line in ipairs(all) do times[line] = (times[line] or 0) + 1 end
    return times
  end

  -- The lines without the wanted ones, of equal lines without the newest or the oldest; and those taken out.
  function without(all, wanted, oldest)
    local kept, taken = {}, {}
    for n = 1, #all do
      local line = all[oldest and n or #all + 1 - n]
      local into = (wanted[line] or 0) > 0 and taken or kept
      if into == taken then wanted[line] = wanted[line] - 1 end
      into[#into + 1] = line
    end
    if not oldest then
      for n = 1, math.floor(#kept / 2) do kept[n], kept[#kept + 1 - n] = kept[#kept + 1 - n], kept[n] end
    end
    return kept, taken
  end

  -- The turns that are to stand first, without those that somebody else has taken out meanwhile.
  function leading(taken)
    local lines, read, there = {}, tally(split(ARGV[11])), tally(taken)
    for _, line in ipairs(split(ARGV[13])) do
      local times = there[line] or 0
      if (read[line] or 0) == 0 then
        lines[#lines + 1] = line
      else
        read[line], there[line] = read[line] - 1, times - 1
        if times > 0 then lines[#lines + 1] = line end
      end
    end
    return lines
  end
end
local counted = whole(stored[4], 2^53 - 1)
local text, first, last, lines, left = '', 1, 0, 0, -1
local out, ends = 0, false -- how many turns are taken out; whether all of them stand at the end
local there, folded = 0, 0 -- of a list: its length; how many of its oldest turns are in the summary
local waiting, waiting_out = nil, 0 -- what waits from now on, if that changes; how many are taken out of it
if list then
  there = call('LLEN', list) -- fails if it is no list
  counted, left = counted or there, call('PTTL', list)
  folded = edits and math.min(whole(call('HGET', key, 'folded_count'), 2^53 - 1) or 0, there) or 0
  if asked > 0 and how < 3 then
    local newest, tail = call('LRANGE', list, 0, asked - 1), {}
    for i = #newest, 1, -1 do tail[#tail + 1] = newest[i] end
    ends = #tail == asked and table.concat(tail, ',\n') == ARGV[11]
    if ends then
      out = asked
    else
      for line, times in pairs(tally(split(ARGV[11]))) do
        out = out + #call('LPOS', list, line, 'COUNT', times)
      end
    end
  end
elseif count > 0 or edits or not counted then
  text, first, last, lines = stored_lines(stored[3] or '')
  counted = counted or lines -- what other programs wrote, and nobody has counted
  if edits then
    local rest = last - #ARGV[11]
    ends = how < 3 and sub(text, rest + 1, last) == ARGV[11]
    ends = ends and (rest < first or sub(text, rest - 1, rest) == ',\n')
    if ends then
      out, last, lines = asked, rest - 2, lines - asked
    else
      local all = first > last and {} or split(sub(text, first, last))
      local kept, taken = without(all, tally(split(ARGV[11])), how == 3)
      out = #taken
      if out == asked or how ~= 1 then
        local turns = leading(taken)
        for _, line in ipairs(kept) do turns[#turns + 1] = line end
        text = table.concat(turns, ',\n')
        first, last, lines = 1, #text, #turns
      end
    end
  end
end
if unwanted ~= '' and not list then
  local held, from, to = stored_lines(call('HGET', key, 'waiting_turns') or '')
  local kept, taken = without(from > to and {} or split(sub(held, from, to)), tally(split(unwanted)))
  waiting, waiting_out = table.concat(kept, ',\n'), #taken
end
if how == 1 and out < asked or how == 2 and edits and out + waiting_out == 0 then return false end
local leave
if most_waiting > 0 and not list then -- the append of a session without a summary does not pay for this
  -- Let what leaves the window wait: lines of the stored turns, then of the new ones, each perhaps with the
  -- break behind it. What is dropped to make room is a call with its results, as in the window.
  function leave(of_stored, of_new)
    local held = waiting
    if not held then
      local kept, from, to = stored_lines(call('HGET', key, 'waiting_turns') or '')
      held = sub(kept, from, to)
    end
    for _, part in ipairs({of_stored, of_new}) do
      if sub(part, -2) == ',\n' then part = sub(part, 1, -3) end
      if part ~= '' then held = held == '' and part or held .. ',\n' .. part end
    end
    local surplus = count_lines(held) - most_waiting
    if surplus > 0 then
      local at = behind(surplus, held, 1, #held)
      local dropped = (whole(call('HGET', key, 'dropped_count'), 2^53 - 1) or 0) + count_lines(sub(held, 1, at - 2))
      call('HSET', key, 'dropped_count', string.format('%.0f', dropped))
      held = sub(held, at)
    end
    waiting = held
  end
end
local turn_count = counted + count
if how < 2 then turn_count = turn_count - out end
if how == 3 then turn_count = math.max(turn_count, #split(ARGV[13]) + count) end -- it may be a new session

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
  local refolded = false -- whether turns that are in the summary were taken out
  if ends then
    call('LTRIM', list, asked, -1)
    refolded, folded = there - asked < folded, math.min(folded, there - asked)
  elseif out > 0 or how == 3 then
    local taken, from_summary = {}, {}
    for _, line in ipairs(split(ARGV[11])) do
      local at = folded > 0 and call('LPOS', list, line, 'RANK', how == 3 and -1 or 1)
      if call('LREM', list, how == 3 and -1 or 1, line) == 1 then
        taken[#taken + 1] = line
        if at and there - at <= folded then
          refolded, folded, from_summary[line] = true, folded - 1, (from_summary[line] or 0) + 1
        end
        there = there - 1
      end
    end
    out = #taken
    local turns = leading(taken)
    for i = #turns, 1, -1 do call('RPUSH', list, turns[i]) end
    local again = 0 -- how many of the first turns are in the summary still
    while again < #turns and (from_summary[turns[again + 1]] or 0) > 0 do
      again = again + 1
      from_summary[turns[again]] = from_summary[turns[again]] - 1
    end
    folded = again < #turns and again or again + folded
  end
  if refolded or folded > 0 and how == 3 then
    local newest = folded > 0 and call('LINDEX', list, -folded) or ''
    call('HSET', key, 'folded_count', string.format('%.0f', folded), 'folded_last', sub(newest, 1, 200))
  end
  if count > 0 then
    for turn in string.gmatch(new .. ',\n', '(.-),\n') do call('LPUSH', list, turn) end
  end
elseif count > 0 or edits then
  local window = tonumber(ARGV[3])
  local surplus = window > 0 and lines + count - window or 0
  if surplus > 0 then
    local was, whole_new = first, new
    first = behind(surplus, text, first, last)
    if first > last then new = sub(new, behind(surplus - lines, new, 1, #new)) end
    if leave then leave(sub(text, was, math.min(first - 1, last)), sub(whole_new, 1, #whole_new - #new)) end
  end
  fields[5] = 'recent_turns'
  if first > last then
    fields[6] = new == '' and '[]' or '[ \n' .. new .. '\n]'
  else
    fields[6] = '[ \n' .. sub(text, first, last) .. (new == '' and '' or ',\n') .. new .. '\n]'
  end
end
if waiting then
  fields[#fields + 1], fields[#fields + 2] = 'waiting_turns', waiting == '' and '[]' or '[ \n' .. waiting .. '\n]'
end
call('HSET', key, unpack(fields))
local own = stored[2]
local most
for i = 16, #ARGV, 2 do
  local name, value = ARGV[i], ARGV[i + 1]
  if name == 'note_bytes' then
    most = tonumber(value)
  elseif name == 'note' then
    local notes = call('HGET', key, 'scratchpad') or ''
    notes = (notes == '' or sub(notes, -1) == '\n') and notes .. value or notes .. '\n' .. value
    local surplus = #notes - most
    call('HSET', key, 'scratchpad', surplus > 0 and sub(notes, find(notes, '\n', surplus, true) + 1) or notes)
  else
    call('HSET', key, name, value)
  end
  if name == 'ttl_seconds' then own = value end
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
    call('PEXPIRE', list, left) -- which it has lost if all its turns were taken out
  end
end
return how < 2 and turn_count or {turn_count, out + waiting_out}
