-- apply: make changes of a user's memories, all in one atomic step, each as if those before it were made.
--
--   KEYS[1…m]    memories: every one that is named, and those whose ids are digests
--   KEYS[m+1…]   the pointers of the digests in ARGV; if tasks are taken off, then their queue, its signal and the
--                stream of signals
--   last KEY     there while the index is being backfilled; only if ARGV[7] is not ''
--   ARGV[1]      'json' or 'hash'
--   ARGV[2…3]    tags of the user and namespace
--   ARGV[4]      what the keys of memories begin with
--   ARGV[5…6]    m, and the number of digests
--   ARGV[7…9]    the index, the most distance, and the milliseconds that a search may take, if what is near is a
--                duplicate; ''
--   ARGV[10…]    the digests, and then the changes. Each begins with its name and the number of what follows:
--                  'add'     kind, TTL ('' for none), id, digest ('' if nothing compares by it), a fresh id,
--                            the id that it supersedes (''), the scope's search condition and the embedding (if
--                            ARGV[7] is not ''), the document as put takes it …
--                  'update'  id, kind, digest or '-', '1' to compare, the text to compare with, the new text,
--                            members as change takes them …
--                  'delete'  id
--                  'take'    no change, and at most once: ARGV as take_off takes them. If one of the tasks is not
--                            there any more, nothing is written; else they are taken off with the changes
--                A kind is a tag.
--   result       {'done', result, result, …}, each {'known' or 'new', id, whether it supersedes},
--                {'updated', id, digests whose pointers lead to it and have to be deleted}, {'deleted', id} or
--                {'refused', id, why}
--                {'need', {id, kind, id, kind, …}, {id, …}, {digest, …}}: memories that are of another kind than
--                was said, and ids and digests whose keys have to be passed; nothing was written
--                {'stale'}: a task is not there any more; nothing was written
--
-- Whatever can fail comes before the first write: the types of all keys, and a search. The only keys it touches
-- besides those passed are those that a search finds. A server that allows no search in a script, or no keys
-- of several cluster slots, answers with an error before anything is written.

local storage, owner, prefix = ARGV[1], {ARGV[2], ARGV[3]}, ARGV[4]
local memories, digests, index = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]

local passed, pointer_of = {}, {}
for i = 1, memories do passed[KEYS[i]] = true end
for i = 1, digests do pointer_of[ARGV[9 + i]] = KEYS[memories + i] end

local changes, taking, at = {}, nil, 10 + digests
while at <= #ARGV do
  local first, last = at + 2, at + 1 + ARGV[at + 1]
  if ARGV[at] == 'take' then
    taking = taking_of({unpack(KEYS, memories + digests + 1)}, {unpack(ARGV, first, last)})
  else
    changes[#changes + 1] = {name = ARGV[at], first = first, last = last}
  end
  at = last + 1
end

local function is_there(id) return id ~= '' and redis.call('EXISTS', prefix .. id) == 1 end

local function of_owner(id) return in_scope(prefix .. id, storage, owner) end

-- Check that every key holds what it should, so that no change can fail on the way.
local function check_types()
  local wanted = storage == 'hash' and 'hash' or 'ReJSON-RL'
  for i = 1, memories + digests do
    local found = redis.call('TYPE', KEYS[i])
    if type(found) == 'table' then found = found['ok'] end
    if found ~= 'none' and found ~= (i <= memories and wanted or 'string') then
      return redis.error_reply('WRONGTYPE Operation against a key holding the wrong kind of value: ' .. KEYS[i])
    end
  end
  return taking and check_queue(taking.keys)
end

local function check_tasks()
  if taking and not stand_in(taking.keys, taking.elements) then return {'stale'} end
end

-- Check that searches are possible, and find all that they will.
local function check_search()
  if redis.call('EXISTS', KEYS[#KEYS]) == 1 then
    return redis.error_reply('BACKFILLING the search index does not hold every memory yet')
  end
  for _, one in ipairs(changes) do
    if one.name == 'add' then
      redis.call('FT.SEARCH', index, ARGV[one.first + 6] .. '=>[KNN 1 @embedding $vector]',
        'PARAMS', 2, 'vector', ARGV[one.first + 7], 'LIMIT', 0, 0, 'TIMEOUT', ARGV[9], 'DIALECT', 2)
      return
    end
  end
end

-- Whether a kind is a tag as this package writes it. One that only other programs write is never the one said.
local function is_tag(kind)
  return #kind <= 128 and string.match(kind, '^[%w_.@:%-]*%w[%w_.@:%-]*$') or string.match(kind, '^#%x+$')
end

-- What has to be passed, or said otherwise, to make the changes; nil if nothing.
local function needs()
  local kinds, ids, missing = {}, {}, {}
  local function check_kind(id, kind)
    local found = is_there(id) and of_owner(id) and plain(prefix .. id, storage, 'kind')
    if found and found ~= kind and is_tag(found) then
      kinds[#kinds + 1] = id
      kinds[#kinds + 1] = found
    end
  end
  for _, one in ipairs(changes) do
    local kind_or_id, digest = ARGV[one.first], ARGV[one.first + 3]
    if one.name == 'add' then
      local leads = digest ~= '' and redis.call('GET', pointer_of[digest])
      if leads and not passed[prefix .. leads] then ids[#ids + 1] = leads end
      check_kind(ARGV[one.first + 5], kind_or_id)
    elseif one.name == 'update' then
      check_kind(kind_or_id, ARGV[one.first + 1])
    elseif is_there(kind_or_id) and of_owner(kind_or_id) then
      for word in string.gmatch(plain(prefix .. kind_or_id, storage, 'same') or '', '%x+') do
        if #word == 32 and not pointer_of[word] then missing[#missing + 1] = word end
      end
    end
  end
  if #kinds + #ids + #missing > 0 then return {'need', kinds, ids, missing} end
end

local function add(kind, ttl, id, digest, fresh, old, condition, vector, document)
  if is_there(old) and not of_owner(old) then return {'refused', old, 'foreign'} end
  local tags = {owner[1], owner[2], kind}
  local old_key = old ~= '' and prefix .. old
  local what, held_by, supersedes = learn(storage, tags, {
    key = prefix .. id, id = id, ttl = ttl, digest = digest, pointer = pointer_of[digest],
    reach = function(leads) return passed[prefix .. leads] and prefix .. leads or false end,
    look = index ~= '' and function()
      local found = look(storage, tags, {
        index = index, condition = condition, vector = vector, most = ARGV[8], timeout = ARGV[9], old = old_key,
        call = redis.pcall,
      })
      return found, found and string.sub(found, #prefix + 1)
    end,
    fresh_key = prefix .. fresh, fresh = fresh, old = old_key, counts = true, document = document,
  })
  return {what, held_by, supersedes and 1 or 0}
end

local function update(id, kind, digest, expected, text, members)
  local key = prefix .. id
  if is_there(id) and not of_owner(id) then return {'refused', id, 'foreign'} end
  local tags = {owner[1], owner[2], kind}
  local refusal = unchangeable(key, storage, tags, expected, text)
  if refusal then return {'refused', id, refusal} end
  local lost = change(key, storage, digest, members)
  if digest ~= '-' and digest ~= id and not says(prefix .. digest, storage, tags, digest, digest) then
    local leads, ttl = redis.call('GET', pointer_of[digest]), redis.call('PTTL', key)
    if not leads or leads == id then lead(pointer_of[digest], id, ttl < 0 and '' or ttl) end
  end
  return {'updated', id, lost}
end

local function delete(id)
  if not is_there(id) then return {'refused', id, 'missing'} end
  if not of_owner(id) then return {'refused', id, 'foreign'} end
  for word in string.gmatch(plain(prefix .. id, storage, 'same') or '', '%x+') do
    local pointer = pointer_of[word]
    if pointer and redis.call('GET', pointer) == id then redis.call('DEL', pointer) end
  end
  redis.call('UNLINK', prefix .. id)
  return {'deleted', id}
end

local refused = check_types() or check_tasks() or index ~= '' and check_search() or needs()
if refused then return refused end
local results = {'done'}
for i, one in ipairs(changes) do
  local first = one.first
  local a, b, c, d, e, f, g, h = unpack(ARGV, first, math.min(first + 7, one.last))
  if one.name == 'add' then
    results[i + 1] = add(a, b, c, d, e, f, g, h, {unpack(ARGV, first + 8, one.last)})
  elseif one.name == 'update' then
    results[i + 1] = update(a, b, c, d == '1' and e, f, {unpack(ARGV, first + 6, one.last)})
  else
    results[i + 1] = delete(a)
  end
end
-- Last, because the writes before are ones that a full server refuses, and only before the first.
if taking then take_off(taking.keys, taking.group, taking.given, taking.elements) end
return results
