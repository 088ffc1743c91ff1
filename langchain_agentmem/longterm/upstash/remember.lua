-- remember: store a memory, unless one of its user and kind says the same. One atomic step.
--
-- KEYS, ARGV and result: see `same`. It touches no other keys.

return remember(function() return nil end)
