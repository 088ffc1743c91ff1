-- update: change a memory in place, if it still stands for what it stood for. One atomic step.
--
--   KEYS[1]  the memory
--   KEYS[2]  the pointer of the digest it stands for by one
--   KEYS[3]  the pointer of the digest it will stand for
--   ARGV[1]  the digest it stands for by a pointer; '' for none
--   ARGV[2]  the digest it will stand for; '' for none
--   ARGV[3]  '1' if its id is that digest
--   ARGV[4]  its text: a JSON string; '' to leave it
--   ARGV[5]  its metadata: a JSON string; '' to leave it
--   ARGV[6]  its TTL in seconds; '' for none
--   ARGV[7]  '1' to leave its TTL
--   ARGV[8]  the time now, in epoch milliseconds
--   ARGV[9]  '1' if its text has to be ARGV[10], or ARGV[11] already; ''
--   result   1, 0 if it is gone or superseded, 2 if it stands for another digest meanwhile, 3 if its text is another

local key = KEYS[1]
local found = memory(key)
if not found then return 0 end
if (type(found.same) == 'string' and found.same or '') ~= ARGV[1] then return 2 end
if ARGV[9] == '1' and found.text ~= ARGV[10] and found.text ~= ARGV[11] then return 3 end
local led = ARGV[1] ~= '' and redis.call('GET', KEYS[2]) == key

if ARGV[4] ~= '' then
  redis.call('JSON.SET', key, '$.text', ARGV[4])
  redis.call('JSON.SET', key, '$.updatedAt', ARGV[8])
  if ARGV[3] == '1' then
    redis.call('JSON.DEL', key, '$.same')
  else
    redis.call('JSON.SET', key, '$.same', '"' .. ARGV[2] .. '"')
  end
end
if ARGV[5] ~= '' then redis.call('JSON.SET', key, '$.metadata', ARGV[5]) end
if ARGV[7] == '' then
  if ARGV[6] == '' then redis.call('PERSIST', key) else redis.call('EXPIRE', key, ARGV[6]) end
end
if led and ARGV[4] ~= '' then
  redis.call('DEL', KEYS[2])
  led = false
end
if led or ARGV[4] ~= '' and ARGV[2] ~= '' and ARGV[3] == '' then point(KEYS[3], key) end
return 1
