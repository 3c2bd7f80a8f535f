-- The request of the gateway rows, and the figures as one line of JSON.
wrk.method = "POST"
wrk.body = '{"name":"John"}'
wrk.headers["Content-Type"] = "application/json"

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"calls":%d,"errors":%d,"seconds":%f,"p50_us":%f,"p99_us":%f}\n',
    summary.requests, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    summary.duration / 1e6, latency:percentile(50), latency:percentile(99)))
end
