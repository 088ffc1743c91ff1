-- forget_session: delete a session if it belongs to a user.
--
--   KEYS[1]  the session's Hash
--   KEYS[2]  only if given: the list that holds its turns
--   ARGV[1]  user
--   ARGV[2]  'count': nothing is deleted
--   result   1 if it was or would be deleted, else 0

if redis.call('HGET', KEYS[1], 'user') == ARGV[1] then
  if ARGV[2] == 'count' then return 1 end
  local found = KEYS[2] and redis.call('TYPE', KEYS[2])
  if type(found) == 'table' then found = found['ok'] end
  if found == 'list' then redis.call('UNLINK', KEYS[2]) end
  return redis.call('UNLINK', KEYS[1])
end
return 0
