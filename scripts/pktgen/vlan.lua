-- A VLAN trunk: conversations spread over VLANs 100 to 163, the loss-free rate of 68-byte frames (64 and the tag).
-- LOADLOCK_FLOWS (1000) are those of each VLAN.
--
-- Wiring: Pktgen port 0 (LOADLOCK_PORT_A) ── side A of the segment │ appliance │ side B ── Pktgen port 1 (LOADLOCK_PORT_B).
-- Appliance: scripts/pktgen/policy.toml in force, the segment in enforce mode.
--   The rules of policy.toml hold for untagged and tagged frames alike.
-- Generator: pktgen -l 0-4 -n 4 -a PCI_A -a PCI_B -- -P -m "[1:2].0,[3:4].1" -f scripts/pktgen/vlan.lua
--   Settings: traffic.lua. About 5 minutes.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;scripts/pktgen/?.lua;" .. package.path
local traffic = require("traffic")

traffic.run("vlan", function(points)
    local load = traffic.flows({ flows = traffic.flow_counts({ 1000 })[1], frame_bytes = 68, vlans = { 100, 163 } })
    traffic.open(load)
    local found = traffic.search(load, 0.005)
    if found then traffic.point("64 VLANs", found, points) else traffic.no_rate("64 VLANs") end
    return {}
end)
