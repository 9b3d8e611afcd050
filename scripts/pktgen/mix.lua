-- Permitted and denied frames mixed: the loss-free rate while 0, 10, 50 and 90 % of side A's frames go to a service that no rule
-- permits. What is permitted must all come through, and nothing else: a denied frame that comes through ends the scenario.
--
-- Wiring: Pktgen port 0 (LOADLOCK_PORT_A) ── side A of the segment │ appliance │ side B ── Pktgen port 1 (LOADLOCK_PORT_B).
-- Appliance: scripts/pktgen/policy.toml in force, the segment in enforce mode.
-- Generator: pktgen -l 0-4 -n 4 -a PCI_A -a PCI_B -- -P -m "[1:2].0,[3:4].1" -f scripts/pktgen/mix.lua
--   Pktgen's sequences; shares are exact to ten frames a trial. Settings: traffic.lua. About 12 minutes.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;scripts/pktgen/?.lua;" .. package.path
local traffic = require("traffic")

traffic.run("mix", function(points)
    for _, denied in ipairs({ 0, 1, 5, 9 }) do
        local load = traffic.mix(denied, 64)
        local label = denied * 10 .. " % denied"
        local found = traffic.search(load, 0.005)
        if found then traffic.point(label, found, points) else traffic.no_rate(label) end
        if found and found.leaked_packets > 0 then return { leaked = true } end
    end
    return {}
end)
