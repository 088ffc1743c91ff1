-- take: read a key whole, to be written to another server.
--
--   KEYS[1]    the key
--   KEYS[2…3]  of a queue of tasks: its signal, and the stream of signals
--   ARGV[1]    what it is: 'memory', 'queue', or another kind
--   ARGV[2]    'parts' for the members of a memory in place of its DUMP; else ''
--   result     the digest, as look has it; the expiry, epoch milliseconds (0 for never); the type; the DUMP (or of a
--              memory, JSON text or a list of fields and values); and what tells whose it is: of a memory, `user`
--              and `exact` (JSON arrays of them, of a JSON document); of a pointer, the id; of an
--              item of the store, its text; of a queue, the fields of
--              its signal. nil if there is no such key

local key, what = KEYS[1], ARGV[1]
local found, _, expiry = digest(key)
if not found then return false end
local kind, payload, about = type_of(key), nil, false
if what == 'memory' then
  about = whose(key, kind)
  if ARGV[2] == 'parts' and about then
    payload = kind == 'hash' and redis.call('HGETALL', key) or redis.call('JSON.GET', key)
  end
elseif what == 'item' then
  local readable, item = pcall(stored, key)
  about = readable and item and item.text
elseif what == 'pointer' and kind == 'string' then
  about = redis.call('GET', key)
elseif what == 'queue' then
  local id = redis.call('GET', KEYS[2])
  local entries = id and redis.pcall('XRANGE', KEYS[3], id, id) -- an error if it is no id
  about = entries and entries[1] and entries[1][2] or false
end
return {found, string.format('%.0f', expiry), kind, payload or redis.call('DUMP', key), about}
