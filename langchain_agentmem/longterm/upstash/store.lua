-- store: store a memory unless it is there already, where the server allows no search in a script.
--
--   KEYS[1]  where the memory goes if it is new; its name comes of the text
--   KEYS[2]  a memory that may be the same; may be left out
--   ARGV[1]  TTL in seconds; '' for none
--   ARGV[2]  the document: JSON text
--   result   {1, key of the memory it is a duplicate of, 0}
--            {0, KEYS[1], 0}

return store(KEYS[1], ARGV[1], ARGV[2], function() return KEYS[2], 0 end)
