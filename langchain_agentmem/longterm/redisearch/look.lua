-- look: the function that scripts use which look for a memory near another one. No script of its own.

-- Take a new memory for a duplicate of the nearest one that is alive, if that is near enough and can be read.
-- Expired ones still fill top-k slots, until they are touched. What `search` has:
--
--   index, condition  where to search: the scope
--   vector            the embedding, as bytes
--   most              up to this distance a memory is the same
--   timeout           how long it may take, in milliseconds
--   old               the key of a memory that is no duplicate
--   call              redis.call or redis.pcall: with that, a search that fails has found nothing
--
-- Returns the key of the duplicate or nil, and the distance of the nearest or ''.
local function look(storage, tags, search)
  local k, far = 1, false
  for _ = 1, 12 do
    local found = search.call('FT.SEARCH', search.index,
      search.condition .. '=>[KNN $k @embedding $vector AS distance]',
      'PARAMS', 4, 'k', k, 'vector', search.vector, 'SORTBY', 'distance', 'LIMIT', 0, k,
      'RETURN', 1, 'distance', 'TIMEOUT', search.timeout, 'DIALECT', 2)
    for i = 2, #found, 2 do
      local name, distance = found[i], found[i + 1][2]
      if name ~= search.old and redis.call('EXISTS', name) == 1 then
        local near = tonumber(distance) <= tonumber(search.most)
        if readable(name, storage, tags) then return near and name or nil, distance end
        far = far or not near
      end
    end
    if far or #found < 2 * k then return nil, '' end
    k = k * 4
  end
  return nil, ''
end

