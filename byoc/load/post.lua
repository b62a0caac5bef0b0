-- Posts one body again and again, and prints the result as one line of JSON.
-- wrk --script post.lua URL -- BODY_FILE [HEADER VALUE]…

local formatted

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  file:close()
  for number = 2, #arguments, 2 do
    wrk.headers[arguments[number]] = arguments[number + 1]
  end
  formatted = wrk.format() -- once: the body may be large
end

function request()
  return formatted
end

-- wrk counts latency and duration in microseconds. errors.status counts statuses above 399.
function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "refused": %d, "broken": %d}',
    summary.requests,
    summary.duration / 1e6,
    latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    errors.status,
    errors.connect + errors.read + errors.write + errors.timeout
  ))
end
