//! The canonical text: every field of every rule, in one order and one spelling.

use std::fmt::{self, Write};

use crate::binding::{Binding, BindingParts};
use crate::policy::Policy;
use crate::rule::{Rule, side_name};
use crate::vlan::VlanMatch;

impl Policy {
    /// The policy as a TOML file that [`crate::PolicyFile::parse`] reads back to an equal policy. The same rules give
    /// the same bytes; every default is written out.
    #[must_use]
    pub fn to_toml(&self) -> String {
        const BYTES_PER_RULE: usize = 320;
        let mut text = String::with_capacity(self.rules().len() * BYTES_PER_RULE + 64);
        // Writing to a String can't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        text.write_str("format = 1\n")?;
        self.rules().iter().try_for_each(|rule| write_rule(text, rule))?;
        self.bindings().iter().try_for_each(|binding| write_binding(text, binding))
    }
}

fn write_rule(text: &mut String, rule: &Rule) -> fmt::Result {
    let parts = rule.parts();
    writeln!(text, "\n[[rule]]\nid = {}\nsegment = \"{}\"", parts.id, parts.segment)?;
    write_vlan(text, parts.vlans)?;
    writeln!(text, "client = \"{}\"", parts.client)?;
    writeln!(text, "client_side = \"{}\"", side_name(parts.client_side))?;
    writeln!(text, "server = \"{}\"\nservice = \"{}\"", parts.server, parts.service)?;
    writeln!(text, "opens = \"{}\"\nmidstream = {}", parts.opens.name(), parts.midstream)?;
    write_text(text, "reason", &parts.reason)?;
    parts.owner.iter().try_for_each(|owner| write_text(text, "owner", owner))
}

fn write_binding(text: &mut String, binding: &Binding) -> fmt::Result {
    let BindingParts { segment, vlans, address, mac, side, reason } = binding.parts();
    writeln!(text, "\n[[binding]]\nsegment = \"{segment}\"")?;
    write_vlan(text, VlanMatch::Exactly(*vlans))?;
    writeln!(text, "side = \"{}\"", side_name(Some(*side)))?;
    address.iter().try_for_each(|address| writeln!(text, "address = \"{address}\""))?;
    mac.iter().try_for_each(|mac| writeln!(text, "mac = \"{mac}\""))?;
    write_text(text, "reason", reason)
}

fn write_vlan(text: &mut String, vlans: VlanMatch) -> fmt::Result {
    match vlans {
        VlanMatch::Exactly(vlans) if vlans.outer() != 0 && vlans.inner() == 0 => {
            writeln!(text, "vlan = {vlans}")
        }
        vlans => writeln!(text, "vlan = \"{vlans}\""),
    }
}

/// A basic string (TOML 1.0): reasons and owners hold no control characters, so two characters need an escape.
fn write_text(text: &mut String, key: &str, value: &str) -> fmt::Result {
    write!(text, "{key} = \"")?;
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.write_str("\"\n")
}
