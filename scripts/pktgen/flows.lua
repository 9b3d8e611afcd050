-- The loss-free rate of 64-byte frames by number of conversations, 1 thousand to 1 million, in Pktgen's range mode.
--
-- Wiring: Pktgen port 0 (LOADLOCK_PORT_A) ── side A of the segment │ appliance │ side B ── Pktgen port 1 (LOADLOCK_PORT_B).
-- Appliance: scripts/pktgen/policy.toml in force, the segment in enforce mode.
--   Its flows.narrow_capacity must hold them: 1048576 for the default list.
-- Generator: pktgen -l 0-4 -n 4 -a PCI_A -a PCI_B -- -P -m "[1:2].0,[3:4].1" -f scripts/pktgen/flows.lua
--   Settings: traffic.lua; LOADLOCK_FLOWS=1000,64000 measures these. About 15 minutes.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;scripts/pktgen/?.lua;" .. package.path
local traffic = require("traffic")

traffic.run("flows", function(points)
    for _, flows in ipairs(traffic.flow_counts({ 1000, 4000, 16000, 64000, 256000, 1000000 })) do
        local load = traffic.flows({ flows = flows, frame_bytes = 64 })
        traffic.open(load)
        local label = string.format("%.0f flows", load.flows)
        local found = traffic.search(load, 0.005)
        if found then traffic.point(label, found, points) else traffic.no_rate(label) end
    end
    return {}
end)
