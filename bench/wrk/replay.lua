-- Sends requests out of a file, over and over, each thread its own share of them in their order.
--
-- Arguments: the file, the number of threads, and a number that no other run has. A request stands in the file as its length in bytes, a
-- line feed, and its bytes. In them \1 stands for a name that is used once, \2 for the entity tag that the session named by the
-- request's path had when it was last answered, and \3 for a number of eight digits that is another one each time, so that no write
-- repeats what is there. The file holds the first of the tags as lines "path tag" behind a length of 0.

local threads = 0

function setup(thread)
  thread:set("id", threads)
  threads = threads + 1
end

-- A request without any of the three is a text; another one is a list of texts with the marks between them.
local function split(text)
  if not text:find("[\1\2\3]") then return text end
  local parts = { path = text:match("^%u+ (%S+)") }
  for plain, mark in text:gmatch("([^\1\2\3]*)([\1\2\3]?)") do
    parts[#parts + 1] = plain
    if mark ~= "" then parts[#parts + 1] = mark end
  end
  return parts
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local count, run = tonumber(args[2]), args[3]
  local number, position, uses = 0, 0, 0
  local first = tonumber(run:sub(-7))
  local requests, tags, has_tags = {}, {}, false
  while true do
    local length = tonumber(file:read("*l"))
    if not length or length == 0 then break end
    local text = file:read(length)
    if number % count == id then
      requests[#requests + 1] = split(text)
      has_tags = has_tags or text:find("\2", 1, true) ~= nil
    end
    number = number + 1
  end
  for line in file:lines() do
    local path, tag = line:match("^(%S+) (%S+)$")
    tags[path] = tag
  end
  file:close()

  local total, out = #requests, {}
  local function made(parts)
    for at = 1, #parts do
      local part = parts[at]
      if part == "\1" then
        part = run .. "-" .. id .. "-" .. uses
      elseif part == "\2" then
        part = tags[parts.path] or part
      elseif part == "\3" then
        part = tostring(10000000 + (first + uses * count + id) % 90000000)
      end
      out[at] = part
    end
    return table.concat(out, "", 1, #parts)
  end
  request = function()
    position, uses = position % total + 1, uses + 1
    local text = requests[position]
    return type(text) == "string" and text or made(text)
  end
  if has_tags then
    response = function(status, headers)
      local path = headers["content-location"]
      if path then tags[path] = headers["etag"] end
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"micros":%d,"refused":%d,"broken":%d,"p50":%d,"p99":%d,"max":%d}\n',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
