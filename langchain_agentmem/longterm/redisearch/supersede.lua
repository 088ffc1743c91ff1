-- supersede: keep a memory, linked to the one in its place, where no search finds it.
--
--   KEYS[1]    the memory
--   ARGV[1]    'json' or 'hash'
--   ARGV[2…3]  tags of the user and namespace it has to be of; of another one it is an error
--   ARGV[4]    the id of the memory in its place
--   ARGV[5]    '1' to look only
--   result     1 if it is superseded by that one now, else 0

local found = can_supersede(KEYS[1], ARGV[1], {ARGV[2], ARGV[3]}, ARGV[4])
if found == 'yes' and ARGV[5] ~= '1' then supersede(KEYS[1], ARGV[1], ARGV[4]) end
return found == 'no' and 0 or 1
