-- run(source, keys, argv, native) -> whether it went well, and what the script returned or failed with.
-- native: call(arguments) -> reply ({err = …} for an error), sha1hex, encode, decode, null.
local source, keys, argv, native = ...

local function call(...)
  return native.call({n = select('#', ...), ...})
end

redis = {
  pcall = call,
  call = function(...)
    local reply = call(...)
    if type(reply) == 'table' and reply.err then error(reply, 0) end
    return reply
  end,
  error_reply = function(text) return {err = text} end,
  status_reply = function(text) return {ok = text} end,
  sha1hex = native.sha1hex,
}
cjson = {encode = native.encode, decode = native.decode, null = native.null}
KEYS, ARGV = keys, argv
os = {clock = os.clock}
python, io, require, package, dofile, loadfile, print = nil

local script, problem = loadstring(source, '@user_script')
if not script then return false, {err = 'ERR Error compiling script (new function): ' .. problem} end

-- As Redis has it: a forgotten `local` is an error, not a global.
setmetatable(_G, {
  __newindex = function(_, name) error("Script attempted to create global variable '" .. name .. "'", 2) end,
  __index = function(_, name) error("Script attempted to access nonexistent global variable '" .. name .. "'", 2) end,
})
-- Only the first value counts.
local went_well, result = pcall(script)
return went_well, result
