-- renew: count a memory as seen again and extend its TTL, if it is still there and can be read.
--
--   KEYS[1]    the memory
--   ARGV[1]    'json' or 'hash'
--   ARGV[2]    TTL in seconds; '' for none
--   ARGV[3…5]  tags of its user, namespace and kind
--   result     1, or 0 if there is no such memory in this scope

return seen(KEYS[1], ARGV[1], ARGV[2], {unpack(ARGV, 3)}) and 1 or 0
