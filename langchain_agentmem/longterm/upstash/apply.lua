-- apply: make changes of a user's memories, all in one atomic step, each as if those before it were made.
--
--   KEYS[1…m]   memories: every one that is named, and those whose ids are digests or fresh
--   KEYS[m+1…]  the pointers of the digests in ARGV; if tasks are taken off, then their queue, its signal and the
--               stream of signals
--   ARGV[1]     the user
--   ARGV[2…3]   m, and the number of digests
--   ARGV[4]     how many bytes of a key stand before the id
--   ARGV[5…]    the digests, and then the changes. Each begins with its name and the number of what follows; a
--               memory is told by its place among KEYS:
--                 'add'     kind, place, fresh place, place of what it replaces (0), the digest or what stands for it
--                           in the name of KEYS[place], and ARGV[1…4] of `same`
--                 'update'  kind, place, and ARGV[2…4] and ARGV[8…11] of `update`
--                 'delete'  place
--                 'take'    no change, and at most once: ARGV as take_off takes them. If one of the tasks is not there
--                           any more, nothing is written; else they are taken off with the changes
--   result      {'done', result, result, …}, each {1 or 0, key, 1 or 0} as that of `same`, {'updated', key},
--               {'deleted', key} or {'refused', key, why}
--               {'need', {key, kind, key, kind, …}, {key, …}, {digest, …}}: memories that are of another kind than was
--               said, and memories and digests whose keys have to be passed; nothing was written
--               {'stale'}: a task is not there any more; nothing was written
--
-- The functions remember_one, update_one and forget_one are the scripts of single changes, with KEYS and ARGV
-- as parameters. Whatever can fail comes before the first write. It touches no other keys.

local user, memories, digests = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local passed, pointer_of = {}, {}
for i = 1, memories do passed[KEYS[i]] = true end
for i = 1, digests do pointer_of[ARGV[4 + i]] = KEYS[memories + i] end

local changes, taking, at = {}, nil, 5 + digests
while at <= #ARGV do
  local first, last = at + 2, at + 1 + ARGV[at + 1]
  if ARGV[at] == 'take' then
    taking = taking_of({unpack(KEYS, memories + digests + 1)}, {unpack(ARGV, first, last)})
  else
    changes[#changes + 1] = {name = ARGV[at], unpack(ARGV, first, last)}
  end
  at = last + 1
end

-- The document at a key; nil if there is none.
local function document_at(key)
  local parsed, documents = pcall(cjson.decode, redis.call('JSON.GET', key, '$') or '')
  return parsed and type(documents[1]) == 'table' and documents[1] or nil
end

local function same_of(document) return type(document.same) == 'string' and document.same or '' end

-- Check that every key holds what it should, so that no change can fail on the way.
local function check_types()
  for i = 1, memories + digests do
    local key = KEYS[i]
    local read = i <= memories and redis.pcall('JSON.GET', key, '$.text') or redis.pcall('GET', key)
    if type(read) == 'table' and read.err then return read end
  end
  return taking and check_queue(taking.keys)
end

local function check_tasks()
  if taking and not stand_in(taking.keys, taking.elements) then return {'stale'} end
end

-- What has to be passed, or said otherwise, to make the changes; nil if nothing.
local function needs()
  local kinds, keys, missing = {}, {}, {}
  for _, one in ipairs(changes) do
    local named = KEYS[tonumber(one.name == 'add' and one[4] or one.name == 'update' and one[2] or one[1])]
    local document = named and document_at(named)
    if document and document.userId == user then
      if one.name ~= 'delete' and document.kind ~= one[1] and type(document.kind) == 'string' and document.kind ~= '' then
        kinds[#kinds + 1] = named
        kinds[#kinds + 1] = document.kind
      end
      local same = one.name ~= 'add' and same_of(document) or ''
      if same ~= '' and not pointer_of[same] then missing[#missing + 1] = same end
    end
    local leads = one.name == 'add' and redis.call('GET', pointer_of[one[5]])
    if leads and not passed[leads] then keys[#keys + 1] = leads end
  end
  if #kinds + #keys + #missing > 0 then return {'need', kinds, keys, missing} end
end

local make = {}

function make.add(one)
  local key, old = KEYS[tonumber(one[2])], KEYS[tonumber(one[4])]
  local document = old and document_at(old)
  if document and document.userId ~= user then return {'refused', old, 'foreign'} end
  local keys, texts = {key, pointer_of[one[5]], KEYS[tonumber(one[3])], old}, {}
  local leads = redis.call('GET', pointer_of[one[5]])
  if leads and passed[leads] then
    keys[#keys + 1] = leads
    texts[1] = ''
  end
  return remember_one(keys, {one[6], one[7], one[8], one[9], old and '1' or '', ARGV[4], '', '', '', unpack(texts)})
end

function make.update(one)
  local key = KEYS[tonumber(one[2])]
  if redis.call('EXISTS', key) == 0 then return {'refused', key, 'missing'} end
  local document = document_at(key)
  if not document or document.userId ~= user then return {'refused', key, 'foreign'} end
  if document.supersededBy ~= nil then return {'refused', key, 'superseded'} end
  if not memory(key) then return {'refused', key, 'unreadable'} end
  local same = same_of(document)
  local done = update_one({key, pointer_of[same], pointer_of[one[3]]},
    {same, one[3], one[4], one[5], '', '', '1', one[6], one[7], one[8], one[9]})
  if done ~= 1 then return {'refused', key, 'text_changed'} end
  return {'updated', key}
end

function make.delete(one)
  local key = KEYS[tonumber(one[1])]
  if redis.call('EXISTS', key) == 0 then return {'refused', key, 'missing'} end
  local document = document_at(key)
  if not document or document.userId ~= user then return {'refused', key, 'foreign'} end
  local same = same_of(document)
  forget_one({key, pointer_of[same]}, {user, '', 1, same})
  return {'deleted', key}
end

local refused = check_types() or check_tasks() or needs()
if refused then return refused end
local results = {'done'}
for i, one in ipairs(changes) do results[i + 1] = make[one.name](one) end
-- Last, because the writes before are ones that a full server refuses, and only before the first.
if taking then take_off(taking.keys, taking.group, taking.given, taking.elements) end
return results
