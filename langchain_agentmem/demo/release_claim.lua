-- release_claim: delete a claim if it is still one's own. One atomic step.
--
--   KEYS[1]  the claim
--   ARGV[1]  what it holds while it is one's own
--   result   1 if it was deleted; 0 if it is another's, which is left as it is, or nobody's

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
