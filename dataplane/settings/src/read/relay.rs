//! The relay of a hardware bypass.

use std::time::Duration;

use crate::problem::Problem;
use crate::scope::Scope;
use crate::settings::{HardwareBypass, Relay};

/// The relay; one that is never asked to open, an opening without one, and two at once are mistakes.
pub(super) fn read(scope: &mut Scope<'_, '_>) -> Option<HardwareBypass> {
    let opens = scope.choice("dataplane_dead") == "open";
    let program = scope.path("bypass_command");
    let pulse = scope.gpio_line("bypass_gpio");
    let arm = scope.gpio_line("bypass_gpio_arm");
    let every = Duration::from_millis(scope.integer("bypass_heartbeat_ms"));
    let has_program = !program.as_os_str().is_empty();
    let is_sound = ["bypass_command", "bypass_gpio", "bypass_gpio_arm"]
        .iter()
        .all(|key| scope.findings.is_sound(&scope.path_of(key)));
    if !is_sound {
        return None;
    }
    let mut refuse = |key: &str, promise, reason, fix| {
        let problem = Problem::CannotBeKept { promise, reason, fix };
        scope.findings.report_at(&scope.path_of(key), problem);
    };
    if has_program && pulse.is_some() {
        refuse(
            "bypass_gpio",
            "bypass_gpio beside bypass_command",
            "a segment has one relay, and one way to it",
            "delete one of the two",
        );
    }
    match &arm {
        Some(_) if pulse.is_none() => refuse(
            "bypass_gpio_arm",
            "bypass_gpio_arm",
            "a relay that hears no heartbeat wouldn't join the cables when the dataplane dies",
            "set bypass_gpio, or delete bypass_gpio_arm",
        ),
        Some(arm)
            if pulse
                .as_ref()
                .is_some_and(|pulse| (&pulse.chip, pulse.line) == (&arm.chip, arm.line)) =>
        {
            refuse(
                "bypass_gpio_arm",
                "bypass_gpio_arm on the line of bypass_gpio",
                "one line can't be both steady and changing",
                "use another line, or delete bypass_gpio_arm",
            )
        }
        _ => {}
    }
    let is_there = has_program || pulse.is_some() || arm.is_some();
    if opens && !is_there {
        refuse(
            "dataplane_dead",
            "dataplane_dead = \"open\"",
            "a dataplane that is dead forwards nothing, and this segment has no relay that joins the cables",
            "set bypass_command or bypass_gpio, or dataplane_dead = \"closed\"",
        );
    }
    if is_there && !opens {
        let (key, fix) = match has_program {
            true => ("bypass_command", "delete bypass_command, or set dataplane_dead = \"open\""),
            false => ("bypass_gpio", "delete bypass_gpio, or set dataplane_dead = \"open\""),
        };
        refuse(
            key,
            "dataplane_dead = \"closed\"",
            "the segment's relay joins the cables when it hears no heartbeat",
            fix,
        );
    }
    let relay = match pulse {
        Some(pulse) => Relay::Gpio { pulse, arm },
        None if has_program => Relay::Program(program),
        None => return None,
    };
    Some(HardwareBypass { relay, every })
}
