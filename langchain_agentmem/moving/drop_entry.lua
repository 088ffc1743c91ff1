-- drop_entry: delete an entry of a stream that was brought, whether or not it got another id.
--
--   KEYS[1]  the stream
--   ARGV[1]  its id
--   ARGV[2]  the digest of its fields; '*' if it is not known
--   result   1; 0 if it is not there

local ms, seq = string.match(ARGV[1], '^(%d+)-(%d+)$')
while true do
  local id = ms .. '-' .. seq
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if not entry then return 0 end
  local found = string.sub(redis.sha1hex(framed(entry[2])), 1, 16)
  if ARGV[2] == '*' or found == ARGV[2] then return redis.call('XDEL', KEYS[1], id) end
  seq = string.format('%.0f', tonumber(seq) + 1)
end
