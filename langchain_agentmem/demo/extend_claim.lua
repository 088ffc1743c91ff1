-- extend_claim: extend a claim that is still one's own, or take it again if nobody has it. One atomic step.
--
--   KEYS[1]  the claim
--   ARGV[1]  what it holds while it is one's own
--   ARGV[2]  its TTL in seconds
--   result   1 if it is one's own now; 0 if it is another's, which is left as it is

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
