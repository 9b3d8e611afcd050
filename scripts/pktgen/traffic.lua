-- What the scripts of this folder share: ports, flows, one trial, the search for the loss-free rate, latency, the result.
--
-- Works with Pktgen-DPDK from 23.06 to 26.02; `statistics` and `generator` are the only places that know the difference.
-- Figures: pps are frames a second of both directions together; frame_bytes is with the checksum (FCS), 64 to 1518; ns and s as named.
--
-- Settings come from the environment, since Pktgen gives a script no arguments (scripts/pktgen/run sets them):
--   LOADLOCK_PORT_A, LOADLOCK_PORT_B   Pktgen's ports towards side A and side B             (0, 1)
--   LOADLOCK_SECONDS                   length of a trial                                    (10)
--   LOADLOCK_CONFIRM_SECONDS           length of the trial that confirms a found rate; 0: none (60, as RFC 2544 asks)
--   LOADLOCK_SETTLE_MS                 wait before counters are read; Pktgen renews them once a second (2500)
--   LOADLOCK_SIZES                     frame sizes, such as 64,512,1518                     (those of RFC 2544)
--   LOADLOCK_FLOWS                     conversations; of flows.lua a list                    (4096)
--   LOADLOCK_MINUTES, LOADLOCK_RATE_PPS   of soak.lua: how long (60), and the loss-free rate (searched if absent)
--   LOADLOCK_RESULT                    file for the result as JSON; without it the result is printed only
--   LOADLOCK_LINK_MBPS                 speed of the link where the driver doesn't tell it
--   LOADLOCK_STAY                      set: leave Pktgen running at the end

local traffic = {}

-- What Ethernet adds to a frame on the wire: preamble, start and gap.
local OVERHEAD_BYTES = 20
-- The generator has kept up if it sent this share of what was asked.
local KEPT_UP = 0.99
-- Pktgen's timestamp doesn't fit into shorter frames.
local LATENCY_BYTES_MIN = 96
local SIZES = { 64, 128, 256, 512, 1024, 1280, 1518 }
-- Seven of 64, four of 594, one of 1518 bytes.
local IMIX = { 64, 594, 64, 64, 594, 64, 64, 594, 64, 1518, 594, 64 }
-- policy.toml permits this and nothing else: clients behind port A, the server and its service behind port B.
local SERVICE, DENIED = 5000, 5001
local CLIENTS, SERVER = "10.1.0.1", "10.2.0.1"
local CLIENT_PORTS = 20000
local MAC_A, MAC_B = "02:00:00:00:01:01", "02:00:00:00:02:01"

-- Settings -----------------------------------------------------------------------------------------------------------------

local function setting(name, default)
    local text = os.getenv("LOADLOCK_" .. name)
    if text == nil or text == "" then return default end
    if type(default) == "number" or (default == nil and name ~= "RESULT") then
        local number = tonumber(text)
        if number == nil or number < 0 then
            error("LOADLOCK_" .. name .. " is `" .. text .. "`; a number from 0 on is allowed", 0)
        end
        return number
    end
    return text
end
traffic.setting = setting

local function list(name, default, least, most)
    local text = os.getenv("LOADLOCK_" .. name)
    if text == nil or text == "" then return default end
    local numbers = {}
    for word in text:gmatch("[^,%s]+") do
        local number = tonumber(word)
        if number == nil or number < least or number > most then
            error("LOADLOCK_" .. name .. " has `" .. word .. "`; numbers from " .. least .. " to " .. most .. " with commas between are allowed", 0)
        end
        numbers[#numbers + 1] = math.floor(number)
    end
    return numbers
end

function traffic.sizes() return list("SIZES", SIZES, 64, 1518) end

function traffic.flow_counts(default) return list("FLOWS", default, 1, 16000000) end

local a = tostring(math.floor(setting("PORT_A", 0)))
local b = tostring(math.floor(setting("PORT_B", 1)))
local both = a .. "," .. b
local seconds = setting("SECONDS", 10)
local confirm_seconds = setting("CONFIRM_SECONDS", 60)
local settle_ms = setting("SETTLE_MS", 2500)

-- What differs between releases --------------------------------------------------------------------------------------------

-- portStats takes the kind of statistics too up to 25.08; from 26.02 the ports alone, and has the counters under `curr`.
local portStats_takes

local function version()
    local info = rawget(pktgen, "info")
    return type(info) == "table" and info.Pktgen_Version and tostring(info.Pktgen_Version) or nil
end

-- How many arguments to try first: by the version, else by names that came and went with the change.
local function portStats_likely()
    local year = tonumber((version() or ""):match("(%d+)%."))
    if year then return year >= 26 and 1 or 2 end
    return rawget(pktgen, "clock_gettime") and not rawget(pktgen, "pktStats") and 1 or 2
end

local function portStats(port, arguments)
    if arguments == 1 then return pktgen.portStats(port) end
    return pktgen.portStats(port, "port")
end

local function statistics(port)
    local stats
    if portStats_takes == nil then
        local likely = portStats_likely()
        local understood
        understood, stats = pcall(portStats, port, likely)
        portStats_takes = understood and likely or 3 - likely
    end
    stats = type(stats) == "table" and stats or portStats(port, portStats_takes)
    local counters = stats[tonumber(port)]
    if counters == nil then
        error("Pktgen has no statistics of port " .. port .. "; check LOADLOCK_PORT_A and _B and Pktgen's -m option", 0)
    end
    counters = counters.curr or counters
    return { sent = counters.opackets or 0, received = counters.ipackets or 0 }
end

local function generator()
    return "Pktgen " .. (version() or (portStats_takes == 1 and "26.02 or later" or "25.08 or earlier"))
end

-- Ports --------------------------------------------------------------------------------------------------------------------

local function link_mbps(port)
    local state = pktgen.linkState(port)
    local text = tostring(type(state) == "table" and (state[tonumber(port)] or "") or state)
    if text:lower():find("down") then
        error("the link of Pktgen's port " .. port .. " is down; check cable, appliance and `loadlock status`", 0)
    end
    local told = tonumber(text:match("(%d+)"))
    local mbps = setting("LINK_MBPS", told or 0)
    -- Virtual devices tell speeds such as 4294967295.
    if mbps < 10 or mbps > 1000000 then
        error("port " .. port .. " says its link is `" .. text .. "`; set LOADLOCK_LINK_MBPS to its speed", 0)
    end
    return mbps
end

-- Frames a second of one direction that fill the link.
local function line_pps(frame_bytes)
    return link_mbps(a) * 1e6 / ((frame_bytes + OVERHEAD_BYTES) * 8)
end

local function address(first, offset)
    local o1, o2, o3, o4 = first:match("(%d+)%.(%d+)%.(%d+)%.(%d+)")
    local number = ((o1 * 256 + o2) * 256 + o3) * 256 + o4 + offset
    local byte = function(shift) return math.floor(number / shift) % 256 end
    return string.format("%d.%d.%d.%d", byte(16777216), byte(65536), byte(256), byte(1))
end

local function each_way()
    return { { port = a, source = MAC_A, destination = MAC_B, from_client = true },
             { port = b, source = MAC_B, destination = MAC_A, from_client = false } }
end

-- Plain UDP frames of the first client and its server: what single mode and the latency frames are.
local function plain(frame_bytes)
    pktgen.screen("off")
    pktgen.reset(both)
    for _, way in ipairs(each_way()) do
        pktgen.set(way.port, "count", 0)
        pktgen.set(way.port, "size", frame_bytes)
        pktgen.set(way.port, "burst", 64)
        pktgen.set_type(way.port, "ipv4")
        pktgen.set_proto(way.port, "udp")
        pktgen.set_mac(way.port, "src", way.source)
        pktgen.set_mac(way.port, "dst", way.destination)
        pktgen.set_ipaddr(way.port, "src", (way.from_client and CLIENTS or SERVER) .. "/32")
        pktgen.set_ipaddr(way.port, "dst", way.from_client and SERVER or CLIENTS)
        pktgen.set(way.port, "sport", way.from_client and CLIENT_PORTS or SERVICE)
        pktgen.set(way.port, "dport", way.from_client and SERVICE or CLIENT_PORTS)
    end
end

local function range(field, port, first, last, step)
    field(port, "start", first)
    field(port, "min", first)
    field(port, "max", last)
    field(port, "inc", step)
end

local function least_common_multiple(first, second)
    local x, y = first, second
    while y ~= 0 do x, y = y, x % y end
    return first / x * second
end

-- Fields in range mode go round each for itself: counts without a common divisor give the product of flows.
local function clients_and_ports(flows)
    local ports = 1009
    for _, prime in ipairs({ 31, 101, 317 }) do
        if prime * prime >= flows then ports = prime break end
    end
    if flows < ports then return 1, flows end
    local clients = math.ceil(flows / ports)
    if clients % ports == 0 then clients = clients + 1 end
    return clients, ports
end

-- Conversations of many clients with one server, the same on both ports; returns a load for `trial` and `search`.
-- flows: how many; frame_bytes; vlans: { first, last } puts them on a trunk; one_way: port A alone sends.
function traffic.flows(options)
    local clients, ports
    if options.endless then
        -- Two primes: four thousand million conversations before one comes again.
        clients, ports = 65521, 44501
    else
        clients, ports = clients_and_ports(options.flows)
    end
    plain(options.frame_bytes)
    for _, way in ipairs(each_way()) do
        local port = way.port
        pktgen.range.ip_proto(port, "udp")
        range(pktgen.range.src_mac, port, way.source, way.source, "00:00:00:00:00:00")
        range(pktgen.range.dst_mac, port, way.destination, way.destination, "00:00:00:00:00:00")
        local client_ip = way.from_client and pktgen.range.src_ip or pktgen.range.dst_ip
        local server_ip = way.from_client and pktgen.range.dst_ip or pktgen.range.src_ip
        local client_port = way.from_client and pktgen.range.src_port or pktgen.range.dst_port
        local server_port = way.from_client and pktgen.range.dst_port or pktgen.range.src_port
        range(client_ip, port, CLIENTS, address(CLIENTS, clients - 1), "0.0.0.1")
        range(server_ip, port, SERVER, SERVER, "0.0.0.0")
        range(client_port, port, CLIENT_PORTS, CLIENT_PORTS + ports - 1, 1)
        range(server_port, port, SERVICE, SERVICE, 0)
        range(pktgen.range.pkt_size, port, options.frame_bytes, options.frame_bytes, 0)
        if options.vlans then
            range(pktgen.range.vlan_id, port, options.vlans[1], options.vlans[2], 1)
            pktgen.vlan(port, "on")
        else
            pktgen.vlan(port, "off")
        end
        pktgen.set_range(port, "on")
    end
    local load = { frame_bytes = options.frame_bytes, one_way = options.one_way, permitted = 1 }
    if not options.endless then
        local vlans = options.vlans and options.vlans[2] - options.vlans[1] + 1 or 1
        load.flows = least_common_multiple(clients * ports, vlans)
    end
    return load
end

-- Frames of the sizes and shares of `frames` in sequence mode, each { frame_bytes =, permitted = }, at most 16.
local function sequence(frames, one_way)
    local bytes, permitted = 0, 0
    for _, frame in ipairs(frames) do
        bytes = bytes + frame.frame_bytes
        if frame.permitted then permitted = permitted + 1 end
    end
    -- Pktgen works the rate out from the single frame's size.
    local mean = math.floor(bytes / #frames + 0.5)
    plain(mean)
    for _, way in ipairs(each_way()) do
        for number, frame in ipairs(frames) do
            local service = frame.permitted and SERVICE or DENIED
            local client = address(CLIENTS, number - 1)
            local from, to = client, SERVER
            local source_port, destination_port = CLIENT_PORTS, service
            if not way.from_client then
                from, to, source_port, destination_port = to, from, service, CLIENT_PORTS
            end
            pktgen.seq(number - 1, way.port, way.destination, way.source, to, from .. "/32", source_port, destination_port, "ipv4", "udp", 1, frame.frame_bytes)
        end
        pktgen.set(way.port, "seq_cnt", #frames)
    end
    return { frame_bytes = mean, one_way = one_way, permitted = permitted / #frames, round = #frames, flows = #frames }
end

function traffic.imix()
    local frames = {}
    for _, size in ipairs(IMIX) do frames[#frames + 1] = { frame_bytes = size, permitted = true } end
    return sequence(frames, false)
end

-- Of ten frames from side A `denied` go to a service that no rule permits.
function traffic.mix(denied, frame_bytes)
    local frames = {}
    for number = 1, 10 do frames[number] = { frame_bytes = frame_bytes, permitted = number > denied } end
    return sequence(frames, true)
end

-- One trial ----------------------------------------------------------------------------------------------------------------

local function senders(load) return load.one_way and a or both end

-- What fills the link with this load.
function traffic.line_pps(load)
    return line_pps(load.frame_bytes) * (load.one_way and 1 or 2)
end

local function set_rate(load, pps)
    local share = math.min(1, pps / traffic.line_pps(load))
    -- Pktgen takes percent; below a ten-thousandth of one it would not send.
    local percent = math.max(0.0001, tonumber(string.format("%.4f", share * 100)))
    pktgen.set(senders(load), "rate", percent)
end

local function counters()
    local of_a, of_b = statistics(a), statistics(b)
    return { sent_a = of_a.sent, sent_b = of_b.sent, received_a = of_a.received, received_b = of_b.received }
end

-- What came of `before` to `after` in `time_s`, asked to send `offered_pps`.
local function outcome(load, offered_pps, time_s, before, after)
    local gained = {}
    for name, value in pairs(after) do gained[name] = value - before[name] end
    local sent = gained.sent_a + (load.one_way and 0 or gained.sent_b)
    local received = gained.received_b + (load.one_way and 0 or gained.received_a)
    local wanted = sent * load.permitted
    -- Sequences end somewhere in a round, so that the shares hold to one round.
    local slack = load.permitted < 1 and load.round or 0
    return {
        frame_bytes = load.frame_bytes, flows = load.flows, seconds = time_s, offered_pps = offered_pps,
        sent_packets = sent, received_packets = received,
        sent_pps = sent / time_s, received_pps = received / time_s,
        lost_packets = math.max(0, math.floor(wanted - received - slack + 0.5)),
        leaked_packets = load.permitted < 1 and math.max(0, math.floor(received - wanted - slack + 0.5)) or 0,
        generator_kept_up = sent / time_s >= KEPT_UP * offered_pps,
    }
end

-- Opens the conversations from side A, so that side B's frames are answers.
function traffic.open(load)
    if load.one_way or load.flows == nil then return end
    pktgen.set(a, "rate", 10)
    local pps = line_pps(load.frame_bytes) / 10
    pktgen.start(a)
    pktgen.delay(math.ceil(math.max(500, 2000 * load.flows / pps)))
    pktgen.stop(a)
    pktgen.delay(settle_ms)
end

-- Sends `pps` for `time_s` (without: the setting) and returns what came of it.
function traffic.trial(load, pps, time_s)
    time_s = time_s or seconds
    set_rate(load, pps)
    local before = counters()
    pktgen.start(senders(load))
    pktgen.delay(math.floor(time_s * 1000 + 0.5))
    pktgen.stop(senders(load))
    pktgen.delay(settle_ms)
    return outcome(load, pps, time_s, before, counters())
end

-- Sends for `time_s` and calls `each` with what came of every `every_s` of it; returns what came of the whole.
function traffic.long_trial(load, pps, time_s, every_s, each)
    set_rate(load, pps)
    local before = counters()
    local last, waited = before, 0
    pktgen.start(senders(load))
    while waited < time_s do
        local pause = math.min(every_s, time_s - waited)
        pktgen.delay(math.floor(pause * 1000 + 0.5))
        waited = waited + pause
        local now = counters()
        each(waited, outcome(load, pps, pause, last, now))
        last = now
    end
    pktgen.stop(senders(load))
    pktgen.delay(settle_ms)
    return outcome(load, pps, time_s, before, counters())
end

-- RFC 2544, section 26.1, by bisection: the highest rate without loss, to `resolution` of the line's rate (a thousandth).
-- Returns the trial at it, with `limit`: what kept it from being higher, "line", "generator" or "device"; nil if every rate lost.
function traffic.search(load, resolution)
    local line = traffic.line_pps(load)
    local step = line * (resolution or 0.001)
    local low, high, pps = 0, line, line
    local best
    while true do
        local found = traffic.trial(load, pps)
        if found.leaked_packets > 0 then return found end
        if found.lost_packets == 0 and found.sent_packets > 0 then
            found.limit = "device"
            best = found
            if not found.generator_kept_up then
                best.limit = "generator"
                break
            end
            low = pps
            if pps >= line then
                best.limit = "line"
                break
            end
        else
            -- What was really sent is the better bound if the generator didn't keep up.
            high = math.min(pps, math.max(found.sent_pps, low))
        end
        if high - low <= step then break end
        pps = (low + high) / 2
    end
    if best == nil or confirm_seconds <= seconds then return best end
    for _ = 1, 10 do
        local confirmed = traffic.trial(load, best.offered_pps, confirm_seconds)
        confirmed.limit = best.limit
        if confirmed.lost_packets == 0 then return confirmed end
        best = { offered_pps = best.offered_pps - step, limit = "device" }
        if best.offered_pps <= 0 then return nil end
    end
    return nil
end

-- Latency ------------------------------------------------------------------------------------------------------------------

local function samples(path)
    local file = io.open(path, "r")
    if file == nil then return {} end
    local values = {}
    for line in file:lines() do values[#values + 1] = tonumber(line) end
    file:close()
    os.remove(path)
    table.sort(values)
    return values
end

-- Quantiles in ns of frames that Pktgen stamps, side A to side B at `pps`; nil where frames are too short for its stamp.
function traffic.latency(load, pps)
    if load.frame_bytes < LATENCY_BYTES_MIN then return nil end
    local path = os.tmpname()
    for _, port in ipairs({ a, b }) do pktgen.latency(port, "enable") end
    pktgen.latsampler_params(b, "simple", 10000, 1000, path)
    set_rate(load, pps)
    pktgen.latsampler(b, "on")
    pktgen.start(senders(load))
    pktgen.delay(math.floor(seconds * 1000 + 0.5))
    pktgen.stop(senders(load))
    pktgen.latsampler(b, "off")
    pktgen.delay(settle_ms)
    for _, port in ipairs({ a, b }) do pktgen.latency(port, "disable") end
    local values = samples(path)
    if #values == 0 then return nil end
    local at = function(share) return values[math.max(1, math.ceil(#values * share))] end
    return { samples = #values, p50 = at(0.5), p99 = at(0.99), p99_9 = at(0.999), max = values[#values] }
end

-- Result -------------------------------------------------------------------------------------------------------------------

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }

local function json(value)
    local kind = type(value)
    if kind == "table" then
        local parts = {}
        if #value > 0 or next(value) == nil then
            for _, element in ipairs(value) do parts[#parts + 1] = json(element) end
            return "[" .. table.concat(parts, ",") .. "]"
        end
        for key in pairs(value) do parts[#parts + 1] = key end
        table.sort(parts)
        for at, key in ipairs(parts) do parts[at] = json(key) .. ":" .. json(value[key]) end
        return "{" .. table.concat(parts, ",") .. "}"
    elseif kind == "number" then
        if value ~= value or value == math.huge or value == -math.huge then return "null" end
        return value == math.floor(value) and string.format("%.0f", value) or string.format("%.3f", value)
    elseif kind == "string" then
        return '"' .. value:gsub('[%c"\\]', function(c) return escapes[c] or string.format("\\u%04x", c:byte()) end) .. '"'
    end
    return tostring(value)
end

local warnings = {}

function traffic.warn(text)
    warnings[#warnings + 1] = text
    print("warning: " .. text)
end

-- Prints a point as it is found, and warns of what makes it say something else than it seems to.
function traffic.point(label, found, points)
    found.label = label
    points[#points + 1] = found
    print(string.format("%-28s sent %10.4f Mpps, received %10.4f, lost %.0f%s", label, found.sent_pps / 1e6, found.received_pps / 1e6, found.lost_packets,
        found.limit and ", limit: the " .. found.limit or ""))
    if found.limit == "generator" or (found.limit == nil and not found.generator_kept_up) then
        traffic.warn(string.format("%s: the generator is the limit: it sent %.4f of %.4f Mpps; give Pktgen more cores (-m), or faster ones", label,
            found.sent_pps / 1e6, found.offered_pps / 1e6))
    end
    if found.leaked_packets > 0 then
        traffic.warn(string.format("%s: %.0f frames came through that no rule permits: is the segment in enforce mode, and policy.toml in force?", label,
            found.leaked_packets))
    end
end

function traffic.no_rate(label)
    traffic.warn(label .. ": frames were lost at every rate: is policy.toml in force, and does `loadlock drops` name a reason?")
end

-- Runs a scenario: `body` gets the list to put points into, and may return further figures. Always stops the ports.
function traffic.run(scenario, body)
    local points = {}
    local done, answer = pcall(body, points)
    pcall(pktgen.stop, both)
    local result = done and answer or {}
    result.scenario, result.points, result.warnings = scenario, points, warnings
    result.generator = generator()
    if not done then result.failure = tostring(answer) end
    local text = json(result)
    local path = os.getenv("LOADLOCK_RESULT")
    if path and path ~= "" then
        local file, why = io.open(path, "w")
        if file then
            file:write(text, "\n")
            file:close()
        else
            print("the result can't be written: " .. tostring(why))
        end
    end
    print("LOADLOCK-RESULT " .. text)
    if not done then print("failed: " .. tostring(answer)) end
    if (os.getenv("LOADLOCK_STAY") or "") == "" then pktgen.quit() end
    return result
end

return traffic
