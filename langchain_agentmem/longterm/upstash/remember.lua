-- remember: store a memory, unless its user has the same one of this kind already. One atomic step.
--
--   KEYS[1]  where the memory goes if it is new; its name comes of the text
--   ARGV[1]  TTL in seconds; '' for none
--   ARGV[2]  the document: JSON text
--   ARGV[3]  search index
--   ARGV[4]  search filter: the text, its user and its kind
--   ARGV[5]  above this score a memory may be the same; '' for none
--   result   {1, key of the memory it is a duplicate of, 1 if there is no index else 0}
--            {0, KEYS[1], 1 if there is no index else 0}
--
-- The only other key it touches is the one the search finds. A server that allows no search in a script
-- answers with an error before anything is written.

return store(KEYS[1], ARGV[1], ARGV[2], function()
  local found = redis.call('SEARCH.QUERY', ARGV[3], ARGV[4], 'LIMIT', '1', 'NOCONTENT')
  if not found then return nil, 1 end
  local best = found[1]
  if best and ARGV[5] ~= '' and tonumber(best[2]) > tonumber(ARGV[5]) then return best[1], 0 end
  return nil, 0
end)
