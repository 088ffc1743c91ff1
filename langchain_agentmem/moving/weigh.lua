-- weigh: tell how new what a key holds is.
--
--   KEYS[1]  the key
--   ARGV[1]  what it is: 'memory', 'session', 'item' or 'list'
--   result   its last time, as text, and beside it how often it was used: of two, the newer one has the larger
--            time, or the same one and the larger number

local key, what, kind = KEYS[1], ARGV[1], type_of(KEYS[1])

local function value_of(name)
  if kind == 'hash' then return tonumber(redis.call('HGET', key, name) or '') end
  local text = redis.call('JSON.GET', key, '$.' .. name)
  return text and tonumber(string.match(text, '^%[(.*)%]$') or '')
end

if kind == 'none' then return {'0', 0} end
if what == 'list' and kind ~= 'list' then return {'inf', 0} end -- another program's: nothing is newer
if what == 'list' then return {'0', redis.call('LLEN', key)} end
if what == 'item' and kind == 'string' then
  return {string.match(redis.call('GET', key), '^%[%d+,(%d+),') or '0', 0}
end
local latest = 0
if kind == 'hash' or kind == 'ReJSON-RL' then
  for _, name in ipairs({'created_ts', 'updated_ts', 'superseded_ts', 'last_active_ts', 'updated'}) do
    latest = math.max(latest, value_of(name) or 0)
  end
end
local hits = (kind == 'hash' or kind == 'ReJSON-RL') and what == 'memory' and value_of('hit_count') or 0
return {string.format('%.6f', latest), hits}
