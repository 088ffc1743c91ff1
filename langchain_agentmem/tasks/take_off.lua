-- take_off: take tasks off their queue, all of them or none.
--
--   KEYS[1…3]  the queue, its signal, the stream of signals
--   ARGV[1]    the group of workers in which the signal is acknowledged if the queue is empty then; '' for none
--   ARGV[2]    the id of the signal that the worker was given; '' if it is not known
--   ARGV[3…]   the elements
--   result     1; 0 if one of them is not there, and nothing was written

local refused = check_queue(KEYS)
if refused then return refused end
local taking = taking_of(KEYS, ARGV)
if not stand_in(KEYS, taking.elements) then return 0 end
take_off(KEYS, taking.group, taking.given, taking.elements)
return 1
