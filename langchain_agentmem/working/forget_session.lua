-- forget_session: delete a session if it belongs to a user.
--
--   KEYS[1]  the session's Hash
--   ARGV[1]  user
--   result   1 if it was deleted, else 0

if redis.call('HGET', KEYS[1], 'user') == ARGV[1] then
  return redis.call('UNLINK', KEYS[1])
end
return 0
