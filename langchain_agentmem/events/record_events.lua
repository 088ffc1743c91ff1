-- record_events: append events to a thread's stream and extend its TTL, in one atomic step.
--
-- Where a hundred entries more than are kept would be there, the oldest are deleted. What they say about usage
-- goes into new entries with the action 'usage', one per user and model, so that sums over the stream stay the
-- same.
--
--   KEYS[1]   the stream
--   ARGV[1]   about how many entries are kept
--   ARGV[2]   time to live in seconds, 0 leaves it as it is
--   ARGV[3…]  for each event: 2n, then its n fields: name, value, name, value …
--   result    the new entries' ids, in order

local SPARE, MOST = 100, 1000 -- entries: beyond what is kept, and deleted per call
local MOST_SUMS = 50 -- per call; what is beyond is summed up without its user and its model

-- Returns what entries count, summed up by user and model, and the names of the counters.
local function sums_of(entries)
  local calls = {
    chat_model_end = 'model_calls', chat_model_error = 'model_calls',
    llm_end = 'model_calls', llm_error = 'model_calls',
    tool_end = 'tool_calls', tool_error = 'tool_calls',
  }
  local counters = {
    'input_tokens', 'output_tokens', 'total_tokens', 'cache_read_tokens', 'cache_creation_tokens',
    'reasoning_tokens', 'model_calls', 'tool_calls',
  }
  local function number(value)
    return value and #value <= 15 and value:find('^%d+$') and tonumber(value) or 0
  end
  local found, order = {}, {}
  local function sum_for(fields)
    local user, model = fields.user or '', fields.model or ''
    local key = #user .. ':' .. user .. model
    if not found[key] and #order >= MOST_SUMS then user, model, key = '', '', '0:' end
    if not found[key] then
      found[key] = { user = user, model = model }
      order[#order + 1] = found[key]
    end
    return found[key]
  end
  for _, entry in ipairs(entries) do
    local fields, sum = {}, nil
    for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
    for _, name in ipairs(counters) do
      local count = number(fields[name]) + (calls[fields.action] == name and 1 or 0)
      if count > 0 then
        sum = sum or sum_for(fields)
        sum[name] = (sum[name] or 0) + count
      end
    end
    local since = sum and tonumber(fields.since_ts or fields.ts)
    if since and since < (tonumber(sum.since) or math.huge) then sum.since = fields.since_ts or fields.ts end
  end
  return order, counters
end

-- Returns the fields of an entry that holds a sum.
local function fields_of(sum, counters, ts)
  local detail = string.format(
    '%.0f model calls, %.0f tool calls and %.0f tokens of earlier events',
    sum.model_calls or 0, sum.tool_calls or 0, sum.total_tokens or 0
  )
  local fields = { 'action', 'usage', 'detail', detail }
  local function set(name, value)
    if value and value ~= '' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  set('ts', ts)
  set('since_ts', sum.since)
  set('user', sum.user)
  set('model', sum.model)
  for _, name in ipairs(counters) do set(name, sum[name] and string.format('%.0f', sum[name])) end
  return fields
end

-- Returns when the first of the new events happened.
local function now()
  for i = 4, 3 + tonumber(ARGV[3]), 2 do
    if ARGV[i] == 'ts' then return ARGV[i + 1] end
  end
end

local added, at = 0, 3
while at <= #ARGV do
  added, at = added + 1, at + 1 + tonumber(ARGV[at])
end

local length, deleted = redis.call('XLEN', KEYS[1]), 0
local surplus = length + added - tonumber(ARGV[1])
if surplus >= SPARE then
  local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', math.min(surplus, length, MOST))
  local sums, counters = sums_of(oldest)
  for _, sum in ipairs(sums) do
    redis.call('XADD', KEYS[1], '*', unpack(fields_of(sum, counters, now())))
  end
  length, deleted = length + #sums, #oldest
end

local ids = {}
at = 3
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', unpack(ARGV, at + 1, last))
  at = last + 1
end
if deleted > 0 then redis.call('XTRIM', KEYS[1], 'MAXLEN', length - deleted + added) end
if tonumber(ARGV[2]) > 0 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return ids
