-- The five features for nginx, written as an experienced user would: no body read, no table of all headers built.
local M = {}

local LIMIT = 100000000
local METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT"
local ORIGIN = "http://a.test"
local consumers = { ["bench-key"] = { id = "c0ffee", username = "bench", credential = "c0ffee" } }
local counters = ngx.shared.counters
local worker, count

function M.init_worker()
    local bytes = {}
    math.randomseed(ngx.now() * 1000 + ngx.worker.pid())
    for i = 1, 16 do bytes[i] = string.format("%02x", math.random(0, 255)) end
    worker, count = table.concat(bytes) .. "#", 0
end

local function correlation_id(var)
    local id = var.http_x_correlation_id
    if not id or not id:find("%S") then
        count = count + 1
        id = worker .. count
        ngx.req.set_header("X-Correlation-ID", id)
    end
    ngx.ctx.correlation_id = id
end

local function refuse(status, message)
    ngx.status = status
    ngx.header["Content-Type"] = "application/json"
    ngx.print('{"message":"' .. message .. '"}')
    return ngx.exit(status)
end

local function key_auth(var)
    local consumer = consumers[var.http_apikey or var.arg_apikey or ""]
    if not consumer then
        ngx.header["WWW-Authenticate"] = "Key"
        return refuse(401, "Unauthorized")
    end
    local set = ngx.req.set_header
    set("X-Consumer-ID", consumer.id)
    set("X-Consumer-Username", consumer.username)
    set("X-Credential-Identifier", consumer.credential)
    ngx.req.clear_header("X-Consumer-Custom-ID")
    ngx.req.clear_header("X-Anonymous-Consumer")
    return consumer
end

local function rate_limiting(consumer)
    local now = ngx.time()
    local used = counters:incr(consumer.id .. ":" .. math.floor(now / 60), 1, 0, 60)
    local ctx = ngx.ctx
    ctx.remaining = math.max(0, LIMIT - used)
    ctx.reset = 60 - now % 60
    if used > LIMIT then
        ngx.header["Retry-After"] = ctx.reset
        return refuse(429, "API rate limit exceeded")
    end
end

function M.access()
    local var = ngx.var
    if var.request_method == "OPTIONS" and var.http_origin and var.http_access_control_request_method then
        ngx.ctx.preflight = true
        ngx.header["Access-Control-Allow-Methods"] = METHODS
        ngx.header["Content-Length"] = 0
        return ngx.exit(200)
    end
    correlation_id(var)
    rate_limiting(key_auth(var))
end

function M.header_filter()
    local header, ctx = ngx.header, ngx.ctx
    header["Access-Control-Allow-Origin"] = ORIGIN
    local vary = header["Vary"]
    header["Vary"] = vary and (vary .. ", Origin") or "Origin"
    if ctx.preflight then return end
    if ctx.remaining then
        header["X-RateLimit-Limit-Minute"] = LIMIT
        header["X-RateLimit-Remaining-Minute"] = ctx.remaining
        header["RateLimit-Limit"] = LIMIT
        header["RateLimit-Remaining"] = ctx.remaining
        header["RateLimit-Reset"] = ctx.reset
    end
    header["X-Correlation-ID"] = ctx.correlation_id
    if not header["X-Bench"] then header["X-Bench"] = "1" end
end

return M
