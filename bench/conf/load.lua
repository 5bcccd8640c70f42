-- wrk script: stop after a fixed count of answers, count those that are not 200, report in JSON on stderr.
local ffi = require "ffi"
ffi.cdef [[ int kill(int, int); int getpid(void); ]]

local target = tonumber(os.getenv("BENCH_REQUESTS"))
answers, refused = 0, 0
local think = tonumber(os.getenv("BENCH_THINK_MS"))
local threads = {}

function setup(thread) table.insert(threads, thread) end

function response(status)
    answers = answers + 1
    if status ~= 200 then refused = refused + 1 end
    if answers == target then
        wrk.thread:stop()
        ffi.C.kill(ffi.C.getpid(), 2) -- wrk sleeps for its whole duration unless it gets a SIGINT
    end
end

if think > 0 then
    function delay() return math.random(0, 2 * think) end
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.stderr:write(string.format(
        '{"answers": %d, "refused": %d, "errors": %d, "seconds": %f, "p50": %f, "p99": %f}\n',
        threads[1]:get("answers"), threads[1]:get("refused"),
        errors.connect + errors.read + errors.write + errors.timeout,
        summary.duration / 1e6, latency:percentile(50), latency:percentile(99)))
end
