-- learn: the function that scripts use which store a memory unless it is known. No script of its own.

-- Store a memory, unless its scope holds one that says the same, and supersede another. What `new` has:
--
--   key, id, ttl        where it goes, its id, and its TTL in seconds ('' for none)
--   digest              what it says, and then its id; '' if nothing compares by that
--   pointer             the key that holds the id of the memory that says it under another id
--   reach               a function: the key of a memory with an id, or nil if it may not be touched
--   look                a function: the key and the id of a memory near it; nil, as without a digest, for none
--   fresh_key, fresh    where it goes, and its id, if another memory has the digest for its id
--   old                 the key of the memory it supersedes
--   counts              whether a duplicate is counted as seen again
--   document            as put takes it
--
-- Returns 'known' or 'new', the id, and whether it supersedes; 'elsewhere' and an id that may not be reached;
-- or 'taken' where there is no fresh id. The last two before anything is written, except that the pointer
-- lives longer.
local function learn(storage, tags, new)
  local key, id, digest, old = new.key, new.id, new.digest, new.old
  local owner = {tags[1], tags[2]}
  local leads = false
  local function supersedes(by_key, by)
    local can = old and old ~= by_key and can_supersede(old, storage, owner, by)
    return can == 'yes', can == 'yes' or can == 'done'
  end

  local taken, known, known_id = false, nil, nil
  if digest ~= '' then
    taken = redis.call('EXISTS', key) == 1
    if taken and says(key, storage, tags, digest, digest) then
      known, known_id = key, digest
    else
      leads = redis.call('GET', new.pointer)
      local there = leads and new.reach(leads)
      if leads and there == nil then
        if new.counts then extend(new.pointer, new.ttl) end -- first: it lives at least as long as its memory
        return 'elsewhere', leads
      end
      if there and says(there, storage, tags, leads, digest) then known, known_id = there, leads end
    end
  elseif new.look then
    known, known_id = new.look()
  end

  if known then
    local now_superseded, is_superseded = supersedes(known, known_id)
    if new.counts then
      if leads then extend(new.pointer, new.ttl) end
      count(known, storage, new.ttl)
    end
    if now_superseded then supersede(old, storage, known_id) end
    return 'known', known_id, is_superseded
  end

  if taken then
    if not new.fresh then return 'taken' end
    key, id = new.fresh_key, new.fresh
  end
  local now_superseded, is_superseded = supersedes(key, id)
  put(key, storage, new.ttl, new.document)
  if id ~= new.id then
    rename(key, storage, id)
    note(key, storage, digest)
    lead(new.pointer, id, new.ttl == '' and '' or new.ttl * 1000)
  elseif leads then
    redis.call('DEL', new.pointer)
  end
  if now_superseded then supersede(old, storage, id) end
  return 'new', id, is_superseded
end

