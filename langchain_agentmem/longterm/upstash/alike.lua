-- alike: the functions that tell how much texts have in common, for `near` and `near_found`. No script.

-- The words of a text, and how many different ones.
local function words_of(text)
  local words, count = {}, 0
  for word in string.gmatch(string.lower(text), '[%w\128-\255]+') do
    if not words[word] then words[word], count = true, count + 1 end
  end
  return words, count
end

-- The key of a memory that has at least half of all different words in common with the new one; else nil. A
-- score alone does not say that they mean the same: one rare word in common is worth a high one.
local function alike(key)
  local found = key and memory(key)
  if not found then return nil end
  local theirs, total = words_of(found.text)
  local common = 0
  for word in pairs((words_of(document.text))) do
    if theirs[word] then common = common + 1 else total = total + 1 end
  end
  return common * 2 >= total and key or nil
end

