-- The loss-free rate by frame size (RFC 2544, section 26.1), confirmed for a minute, and latency at 10, 50, 90 and 100 % of it (26.2).
--
-- Wiring: Pktgen port 0 (LOADLOCK_PORT_A) ── side A of the segment │ appliance │ side B ── Pktgen port 1 (LOADLOCK_PORT_B).
-- Appliance: scripts/pktgen/policy.toml in force, the segment in enforce mode.
-- Generator: pktgen -l 0-4 -n 4 -a PCI_A -a PCI_B -- -P -m "[1:2].0,[3:4].1" -f scripts/pktgen/rfc2544.lua
--   Frames below 96 bytes can't carry Pktgen's timestamp: their latency isn't measured. Settings: traffic.lua. About 40 minutes.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;scripts/pktgen/?.lua;" .. package.path
local traffic = require("traffic")

traffic.run("rfc2544", function(points)
    for _, frame_bytes in ipairs(traffic.sizes()) do
        local load = traffic.flows({ flows = traffic.flow_counts({ 4096 })[1], frame_bytes = frame_bytes })
        traffic.open(load)
        local found = traffic.search(load)
        local label = frame_bytes .. " bytes"
        if found then
            traffic.point(label, found, points)
            for _, share in ipairs({ 10, 50, 90, 100 }) do
                local latency = traffic.latency(load, found.offered_pps * share / 100)
                if latency then
                    latency.load_percent = share
                    found.latency_ns = found.latency_ns or {}
                    table.insert(found.latency_ns, latency)
                    print(string.format("  %3d %% of it: p50 %d, p99 %d, p99.9 %d, max %d ns", share, latency.p50, latency.p99, latency.p99_9, latency.max))
                end
            end
        else
            traffic.no_rate(label)
        end
    end
    return {}
end)
