-- queues: functions for scripts that change a queue of tasks. They come before the script that uses them.
--
-- `keys` are a queue (a list of elements, oldest first), its signal (a String: the id of its entry among the signals)
-- and the stream of signals, which has one entry per queue that is not empty. Except check_queue, nothing fails
-- here once the types are right, so it can stand behind other writes.

-- Return an error reply if a key holds something else than it should.
local function check_type(key, wanted)
  local found = redis.call('TYPE', key)
  if type(found) == 'table' then found = found['ok'] end
  if found ~= 'none' and found ~= wanted then
    return redis.error_reply('WRONGTYPE Operation against a key holding the wrong kind of value: ' .. key)
  end
end

local function check_queue(keys)
  return check_type(keys[1], 'list') or check_type(keys[2], 'string') or check_type(keys[3], 'stream')
end

-- Whether all elements stand in the queue still. If not, somebody else has dealt with one.
local function stand_in(keys, elements)
  for _, element in ipairs(elements) do
    if not redis.call('LPOS', keys[1], element) then return false end
  end
  return true
end

-- Give the queue a signal, unless it has one; return its id.
local function give_signal(keys, what, thread, user, namespace)
  local id = redis.call('GET', keys[2])
  local found = id and redis.pcall('XRANGE', keys[3], id, id) -- an error if it is no id
  if found and #found == 1 then return id end
  id = redis.call('XADD', keys[3], '*', 'what', what, 'thread', thread, 'user', user, 'namespace', namespace)
  redis.call('SET', keys[2], id)
  return id
end

-- Delete a signal; acknowledge it, if a group is given.
local function drop_signal(keys, id, group)
  if group ~= '' then redis.pcall('XACK', keys[3], group, id) end
  redis.pcall('XDEL', keys[3], id)
end

-- Delete the signal of the queue if it is empty, and the one that a worker was given for it.
local function end_signal(keys, group, given)
  if redis.call('EXISTS', keys[1]) == 1 then return false end
  local id = redis.call('GET', keys[2])
  if id then
    drop_signal(keys, id, group)
    redis.call('DEL', keys[2])
  end
  if given ~= '' and given ~= id then drop_signal(keys, given, group) end
  return true
end

-- Take elements that stand in the queue off it.
local function take_off(keys, group, given, elements)
  for _, element in ipairs(elements) do redis.call('LREM', keys[1], 1, element) end
  end_signal(keys, group, given)
end

-- What is to be taken off a queue: its keys first, and take_off.lua's arguments.
local function taking_of(keys, arguments)
  return {keys = keys, group = arguments[1], given = arguments[2], elements = {unpack(arguments, 3)}}
end
