-- Throughput by frame size, and of IMIX: both directions filled to the link's rate, and what comes back.
--
-- Wiring: Pktgen port 0 (LOADLOCK_PORT_A) ── side A of the segment │ appliance │ side B ── Pktgen port 1 (LOADLOCK_PORT_B).
-- Appliance: scripts/pktgen/policy.toml in force, the segment in enforce mode.
-- Generator: pktgen -l 0-4 -n 4 -a PCI_A -a PCI_B -- -P -m "[1:2].0,[3:4].1" -f scripts/pktgen/throughput.lua
--   (two cores a port; 64-byte frames at 100G need more: [1-4:5-8]). Settings: traffic.lua. About 3 minutes.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;scripts/pktgen/?.lua;" .. package.path
local traffic = require("traffic")

traffic.run("throughput", function(points)
    for _, frame_bytes in ipairs(traffic.sizes()) do
        local load = traffic.flows({ flows = traffic.flow_counts({ 4096 })[1], frame_bytes = frame_bytes })
        traffic.open(load)
        traffic.point(frame_bytes .. " bytes", traffic.trial(load, traffic.line_pps(load)), points)
    end
    local load = traffic.imix()
    traffic.open(load)
    traffic.point("IMIX", traffic.trial(load, traffic.line_pps(load)), points)
    return {}
end)
