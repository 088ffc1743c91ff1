-- near_found: as `near`, where the server allows no search in a script, and one was made before.
--
-- KEYS, ARGV and result: see `same`. Besides:
--
--   ARGV[7]  '1' if the last of KEYS is what the search has found

return remember(function() return ARGV[7] == '1' and alike(KEYS[#KEYS]) or nil end)
