-- A storm of new conversations: each 64-byte frame from side A begins one that a rule permits; the loss-free rate of them.
--
-- Wiring: Pktgen port 0 (LOADLOCK_PORT_A) ── side A of the segment │ appliance │ side B ── Pktgen port 1 (LOADLOCK_PORT_B).
-- Appliance: scripts/pktgen/policy.toml in force, the segment in enforce mode.
--   Once flows.narrow_capacity is reached each frame is judged by the allowlist alone (README); restart the dataplane to begin empty.
-- Generator: pktgen -l 0-4 -n 4 -a PCI_A -a PCI_B -- -P -m "[1:2].0,[3:4].1" -f scripts/pktgen/new-flows.lua
--   Settings: traffic.lua. About 4 minutes.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;scripts/pktgen/?.lua;" .. package.path
local traffic = require("traffic")

traffic.run("new-flows", function(points)
    local load = traffic.flows({ endless = true, frame_bytes = 64, one_way = true })
    local found = traffic.search(load, 0.005)
    if found then traffic.point("new flows", found, points) else traffic.no_rate("new flows") end
    return {}
end)
