-- near: store a memory, unless one of its user and kind says the same or nearly so. One atomic step.
--
-- KEYS, ARGV and result: see `same`. Besides:
--
--   ARGV[7]  search index
--   ARGV[8]  search filter: the text, its user and its kind
--   ARGV[9]  above this score a memory may be nearly the same
--
-- The only other key it touches is the one the search finds. A server that allows no search in a script
-- answers with an error before anything is written.

return remember(function()
  local found = redis.call('SEARCH.QUERY', ARGV[7], ARGV[8], 'LIMIT', '1', 'NOCONTENT')
  local best = found and found[1]
  return best and tonumber(best[2]) > tonumber(ARGV[9]) and alike(best[1]) or nil
end)
