-- bring: write what was taken from a key of another server, unless somebody else has written there.
--
--   KEYS[1]  the key
--   ARGV[1]  the digest of what may be there and is replaced; '' for nothing
--   ARGV[2]  the expiry, epoch milliseconds; 0 for never
--   ARGV[3]  the DUMP
--   result   1; or the digest of what is there, and nothing was written

local other = in_the_way(KEYS[1], ARGV[1])
if other then return other end
restore(KEYS[1], ARGV[2], ARGV[3])
return 1
