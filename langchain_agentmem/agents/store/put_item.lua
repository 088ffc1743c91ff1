-- put_item: store an item, which keeps when it was created, and note it.
--
--   KEYS     as in items.lua
--   ARGV[1]  namespace, as a JSON array
--   ARGV[2]  key
--   ARGV[3]  TTL in milliseconds; 0 for none
--   ARGV[4]  user, in hexadecimal digits; '' for none
--   ARGV[5]  the item, as a JSON string
--   ARGV[6]  what the index reads of it: further members of the document, each with a comma before it
--   result   ''; or the user of the item that is there, if none is given: nothing is done, as the user's
--            record is not among the keys

local there = stored(KEYS[1])
if there and there.user ~= '' and ARGV[4] == '' then return there.user end
check_records()
local now = clock()
local ms, created = whole(math.floor(now / 1000)), whole(now)
if there then
  created = there.created
  now = math.max(now, tonumber(there.updated) + 1)
end
local function is_unknown(reply) return type(reply) == 'table' and reply.err and string.find(reply.err, 'nknown') end
local has_json = not (there and there.plain and is_unknown(redis.pcall('JSON.GET', KEYS[1])))
if has_json and there and there.plain then redis.call('UNLINK', KEYS[1]) end -- the server has got JSON since
local members = { created, whole(now), ARGV[3], '"' .. ARGV[4] .. '"', ARGV[5] }
local done = has_json and redis.pcall('JSON.SET', KEYS[1], '$', string.format(
  '{"created":%s,"updated":%s,"ttl":%s,"user":%s,"item":', unpack(members, 1, 4)) .. ARGV[5] .. ARGV[6] .. '}')
if not has_json or is_unknown(done) then
  redis.call('SET', KEYS[1], '[' .. table.concat(members, ',') .. ']')
elseif type(done) == 'table' and done.err then
  return done
end
keep(ARGV[1], ARGV[2], ARGV[3], ms)
return ''
