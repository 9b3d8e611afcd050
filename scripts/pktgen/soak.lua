-- A long run at 70 % of the loss-free rate: what is lost, when, and whether latency grows.
--
-- Wiring: Pktgen port 0 (LOADLOCK_PORT_A) ── side A of the segment │ appliance │ side B ── Pktgen port 1 (LOADLOCK_PORT_B).
-- Appliance: scripts/pktgen/policy.toml in force, the segment in enforce mode.
-- Generator: pktgen -l 0-4 -n 4 -a PCI_A -a PCI_B -- -P -m "[1:2].0,[3:4].1" -f scripts/pktgen/soak.lua
--   LOADLOCK_MINUTES=1440 for a day; LOADLOCK_RATE_PPS is the loss-free rate, searched if absent. 128-byte frames, which carry timestamps.
--   Settings: traffic.lua. About an hour.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;scripts/pktgen/?.lua;" .. package.path
local traffic = require("traffic")

local SHARE = 0.7

traffic.run("soak", function(points)
    local load = traffic.flows({ flows = traffic.flow_counts({ 4096 })[1], frame_bytes = 128 })
    traffic.open(load)
    local rate = traffic.setting("RATE_PPS")
    if rate == nil then
        local found = traffic.search(load, 0.005)
        if found == nil then
            traffic.no_rate("loss-free rate")
            return {}
        end
        traffic.point("loss-free rate", found, points)
        rate = found.offered_pps
    end
    local pps, time_s = rate * SHARE, traffic.setting("MINUTES", 60) * 60
    local latency = { before = traffic.latency(load, pps) }
    local samples, every_s = {}, math.max(1, math.min(10, time_s / 20))
    local found = traffic.long_trial(load, pps, time_s, every_s, function(at_s, part)
        samples[#samples + 1] = { at_s = at_s, sent_pps = part.sent_pps, received_pps = part.received_pps }
    end)
    latency.after = traffic.latency(load, pps)
    traffic.point(string.format("%.0f minutes at 70 %%", time_s / 60), found, points)
    return { samples = samples, soak_latency_ns = latency }
end)
