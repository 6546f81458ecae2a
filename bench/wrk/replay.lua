-- Sends requests out of a file, over and over, each thread its own share of them in their order.
--
-- Arguments: the file, the number of threads, a word that no other run uses. A request stands in the file as its length in bytes, a
-- line feed, and its bytes. In them \1 stands for a name that is used once, and \2 for the entity tag that the session named by the
-- request's path had when it was last answered; the file holds the first of these tags as lines "path tag" behind a length of 0.

local threads = 0

function setup(thread)
  thread:set("id", threads)
  threads = threads + 1
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local count, word = tonumber(args[2]), args[3]
  local number, position, uses = 0, 0, 0
  requests, tags = {}, {}
  local makes_names, has_tags = false, false
  while true do
    local length = tonumber(file:read("*l"))
    if not length or length == 0 then break end
    local text = file:read(length)
    if number % count == id then
      local before, after = text:match("^(.-)\1(.*)$")
      if before then
        makes_names = true
        requests[#requests + 1] = { before, after }
      else
        before, after = text:match("^(.-)\2(.*)$")
        if before then
          has_tags = true
          requests[#requests + 1] = { before, after, text:match("^%u+ (%S+)") }
        else
          requests[#requests + 1] = text
        end
      end
    end
    number = number + 1
  end
  for line in file:lines() do
    local path, tag = line:match("^(%S+) (%S+)$")
    tags[path] = tag
  end
  file:close()

  local total = #requests
  if makes_names then
    request = function()
      position, uses = position % total + 1, uses + 1
      local parts = requests[position]
      return parts[1] .. word .. "-" .. id .. "-" .. uses .. parts[2]
    end
  elseif has_tags then
    request = function()
      position = position % total + 1
      local parts = requests[position]
      return parts[1] .. tags[parts[3]] .. parts[2]
    end
    response = function(status, headers)
      local path = headers["content-location"]
      if path then tags[path] = headers["etag"] end
    end
  else
    request = function()
      position = position % total + 1
      return requests[position]
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
