-- Pktgen-DPDK for tests: a table `pktgen` that refuses names and argument counts which a release doesn't have, and a device under test
-- behind two ports that forwards a known rate without loss.
--
--   lua mock.lua RELEASE API.tsv SCRIPT       RELEASE: old (23.06.1) or new (26.02.4)
--   MOCK_DEVICE_PPS      what the device forwards of both directions together; above it the rest is lost
--   MOCK_GENERATOR_PPS   what the generator sends on both ports together at the most
--   MOCK_LINK_MBPS       10000 if absent
--   MOCK_LEAK=1          the device forwards what is denied too
--
-- Time passes in `delay` and `sleep` alone. Side B's frames pass only if side A has sent since the last reset, as answers do.

local release, api, script = arg[1], arg[2], arg[3]
local column = ({ old = 2, new = 3 })[release]
local device_pps = tonumber(os.getenv("MOCK_DEVICE_PPS") or "7.3e6")
local generator_pps = tonumber(os.getenv("MOCK_GENERATOR_PPS") or "1e9")
local link_mbps = tonumber(os.getenv("MOCK_LINK_MBPS") or "10000")
local leak = os.getenv("MOCK_LEAK") == "1"

local now_ms = 0
local ports = {}

local function fresh()
    return { rate = 100, size = 64, count = 0, range = {}, sequence = {}, seq_cnt = 0, sending = false, opened = false }
end
for number = 0, 1 do
    ports[number] = fresh()
    ports[number].counters = { opackets = 0, ipackets = 0, obytes = 0, ibytes = 0, ierrors = 0, oerrors = 0 }
end

local function each(list)
    local found = {}
    if list == "all" then list = "0,1" end
    for word in tostring(list):gmatch("[^,]+") do
        local number = tonumber(word)
        assert(ports[number], "no port " .. word)
        found[#found + 1] = number
    end
    assert(#found > 0, "empty list of ports")
    return found
end

-- Frames a second that a port sends, and the share of them that the device permits.
local function rate_of(port)
    if not port.sending then return 0, 1 end
    local bytes, permitted = port.size, 1
    if port.seq_cnt > 0 then
        local denied = 0
        bytes = 0
        for number = 0, port.seq_cnt - 1 do
            local frame = assert(port.sequence[number], "sequence " .. number .. " isn't set")
            bytes = bytes + frame.size
            if frame.dport ~= 5000 and frame.sport ~= 5000 then denied = denied + 1 end
        end
        bytes, permitted = bytes / port.seq_cnt, 1 - denied / port.seq_cnt
    elseif port.range_on then
        for _, field in ipairs({ "src_ip", "dst_ip", "src_port", "dst_port", "src_mac", "dst_mac", "pkt_size" }) do
            local values = port.range[field] or {}
            for _, what in ipairs({ "start", "inc", "min", "max" }) do assert(values[what] ~= nil, "range." .. field .. " has no " .. what) end
        end
        bytes = port.range.pkt_size.start
    end
    assert(bytes >= 64 and bytes <= 1522, "frame of " .. bytes .. " bytes")
    return port.rate / 100 * link_mbps * 1e6 / ((bytes + 20) * 8), permitted
end

local function pass(ms)
    local a, b = ports[0], ports[1]
    local rate_a, permitted_a = rate_of(a)
    local rate_b, permitted_b = rate_of(b)
    local squeeze = math.min(1, generator_pps / math.max(1, rate_a + rate_b))
    rate_a, rate_b = rate_a * squeeze, rate_b * squeeze
    if a.sending then a.opened = true end
    local total = rate_a + rate_b
    local forwarded = total == 0 and 1 or math.min(1, device_pps / total)
    -- As a worker does with both ports alike; in this time each port's counters gain whole frames.
    for _, way in ipairs({ { a, b, rate_a, permitted_a, true }, { b, a, rate_b, permitted_b, a.opened } }) do
        local from, to, rate, permitted, answered = way[1], way[2], way[3], way[4], way[5]
        local sent = math.floor(rate * ms / 1000)
        local through = sent * (leak and 1 or permitted)
        if forwarded < 1 then through = math.min(through, sent * forwarded * (leak and 1 or permitted)) end
        if not answered then through = 0 end
        from.counters.opackets = from.counters.opackets + sent
        to.counters.ipackets = to.counters.ipackets + math.floor(through + 1e-6)
    end
    now_ms = now_ms + ms
end

local function on_off(text)
    assert(text == "on" or text == "off" or text == "enable" or text == "disable", "neither on nor off: " .. tostring(text))
    return text == "on" or text == "enable"
end

local functions = {}

function functions.delay(ms)
    assert(ms >= 0 and ms < 1e9, "delay of " .. ms)
    pass(ms)
end
function functions.sleep(s) pass(s * 1000) end
function functions.start(list) for _, number in ipairs(each(list)) do ports[number].sending = true end end
function functions.stop(list) for _, number in ipairs(each(list)) do ports[number].sending = false end end
function functions.reset(list)
    for _, number in ipairs(each(list)) do
        local counters = ports[number].counters
        ports[number] = fresh()
        ports[number].counters = counters
    end
end
function functions.set(list, what, value)
    assert(type(value) == "number", what .. " isn't a number")
    local known = { count = true, size = true, rate = true, burst = true, sport = true, dport = true, seq_cnt = true, prime = true, ttl = true }
    assert(known[what], "set does not support " .. what)
    if what == "rate" then assert(value > 0 and value <= 100, "rate of " .. value) end
    if what == "size" then assert(value >= 64 and value <= 1522, "size of " .. value) end
    for _, number in ipairs(each(list)) do ports[number][what] = value end
end
function functions.set_range(list, state) for _, number in ipairs(each(list)) do ports[number].range_on = on_off(state) end end
function functions.vlan(list, state) for _, number in ipairs(each(list)) do ports[number].vlan = on_off(state) end end
function functions.seq(at, list, dst_mac, src_mac, dst_ip, src_ip, sport, dport, ethernet, protocol, vlan, size)
    assert(at >= 0 and at < 16, "sequence number " .. at)
    assert(dst_mac:match("^%x%x:%x%x:%x%x:%x%x:%x%x:%x%x$") and src_mac:match("^%x%x:%x%x:%x%x:%x%x:%x%x:%x%x$"), "MAC")
    assert(dst_ip:match("^%d+%.%d+%.%d+%.%d+$") and src_ip:match("^%d+%.%d+%.%d+%.%d+/%d+$"), "addresses " .. dst_ip .. " " .. src_ip)
    assert(ethernet == "ipv4" and protocol == "udp" and vlan >= 1 and size >= 64, "sequence")
    for _, number in ipairs(each(list)) do ports[number].sequence[at] = { sport = sport, dport = dport, size = size } end
end
function functions.linkState(list)
    local answer = { n = 0 }
    for _, number in ipairs(each(list)) do
        answer[number], answer.n = "<UP-" .. link_mbps .. "-FD>", answer.n + 1
    end
    return answer
end
function functions.portStats(list, kind)
    assert(release == "new" or kind == "port" or kind == "rate", "portStats: kind " .. tostring(kind))
    local answer = { n = 0 }
    for _, number in ipairs(each(list)) do
        local copy = {}
        for name, value in pairs(ports[number].counters) do copy[name] = value end
        answer[number] = release == "new" and { curr = copy, rate = {} } or copy
        answer.n = answer.n + 1
    end
    return answer
end
function functions.latency(list, what) on_off(what) each(list) end
local sampler
function functions.latsampler_params(list, kind, count, rate, path)
    assert(kind == "simple" or kind == "poisson", kind)
    assert(count > 0 and rate > 0, "samples")
    each(list)
    sampler = path
end
function functions.latsampler(list, state)
    each(list)
    if on_off(state) then return end
    local file = assert(io.open(sampler, "w"))
    file:write("Latency\n")
    for number = 1, 1000 do file:write(number * 10, "\n") end
    file:close()
end
function functions.quit() os.exit(0) end

-- Every name of the release, with its argument counts; nothing else.
pktgen = { range = {}, Lua = {}, info = release == "old" and { Pktgen_Version = "23.06.1" } or nil }
for line in io.lines(api) do
    local name, old, new = line:match("^pktgen%.(%S+)\t(%S+)\t(%S+)")
    local counts = column == 2 and old or new
    if name and counts ~= "ABSENT" then
        local field = name:match("^range%.(.+)$")
        local implementation = functions[name]
        local checked = function(...)
            local count = select("#", ...)
            if counts ~= "any" then
                local allowed = false
                for word in counts:gmatch("%d+") do allowed = allowed or tonumber(word) == count end
                if not allowed then error("pktgen." .. name .. ": " .. count .. " arguments, and " .. counts .. " are allowed", 2) end
            end
            if field then
                local list, what, value = ...
                for _, number in ipairs(each(list)) do
                    local of_field = ports[number].range[field] or {}
                    of_field[what] = value == nil and true or value
                    ports[number].range[field] = of_field
                end
                return nil
            end
            if implementation then return implementation(...) end
        end
        if field then
            pktgen.range[field] = checked
        elseif not name:find("%.") then
            pktgen[name] = checked
        end
    end
end
local refuse = { __index = function(_, name) error("no pktgen." .. tostring(name) .. " in this release", 2) end }
setmetatable(pktgen.range, refuse)
if release == "new" then pktgen.info = {} end
setmetatable(pktgen, refuse)

-- As Pktgen does, the script's name is its chunk's.
dofile(script)
-- A script that doesn't quit leaves Pktgen's prompt.
print("Pktgen:/>")
os.exit(3)
