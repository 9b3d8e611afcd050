//! One valid rule.

use std::fmt;
use std::sync::Arc;

use loadlock_exchange::{RuleId, RuleOptions};
use loadlock_packet::{Side, VlanStack};

use crate::address::AddressMatch;
use crate::error::Problem;
use crate::file::{RuleFile, VlanFile};
use crate::service::{Protocol, Service};
use crate::vlan::VlanMatch;

/// Longest reason or owner, in characters.
pub const REASON_CHARACTERS_MAX: usize = 500;

/// Who may send the first packet of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Opens {
    /// The client.
    Client,
    /// The server: notifications, discovery.
    Server,
    /// Either.
    Both,
}

impl Opens {
    pub(crate) const ALL: [Self; 3] = [Self::Client, Self::Server, Self::Both];

    /// The name in files, API and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Both => "both",
        }
    }
}

/// The fields of a rule, for [`Rule::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleParts {
    /// Number, unique in its policy.
    pub id: RuleId,
    /// Name of the segment.
    pub segment: Arc<str>,
    /// VLANs in which it holds.
    pub vlans: VlanMatch,
    /// Client's address.
    pub client: AddressMatch,
    /// Side of the segment on which the client is; `None` for both.
    pub client_side: Option<Side>,
    /// Server's address.
    pub server: AddressMatch,
    /// What they talk.
    pub service: Service,
    /// Who may send the first packet.
    pub opens: Opens,
    /// May be met running at any time, not only in the grace time after start.
    pub midstream: bool,
    /// Why the rule is there: 1 to [`REASON_CHARACTERS_MAX`] characters, none of them a control character.
    pub reason: Arc<str>,
    /// Who answers for it; like a reason.
    pub owner: Option<Arc<str>>,
}

/// A rule whose addresses, service and texts fit together. It permits conversations, and can't deny any.
///
/// Where several rules match a conversation, the most specific one decides alone: it isn't widened by a more general
/// one that lets the other end open too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    parts: RuleParts,
}

/// For which tables of the allowlist a rule is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Families {
    pub ipv4: bool,
    pub ipv6: bool,
    pub link: bool,
}

impl Rule {
    /// Makes a rule.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn new(parts: RuleParts) -> Result<Self, (&'static str, Problem)> {
        check_text(&parts.reason).map_err(|problem| ("reason", problem))?;
        if let Some(owner) = &parts.owner {
            check_text(owner).map_err(|problem| ("owner", problem))?;
        }
        check_segment(&parts.segment).map_err(|problem| ("segment", problem))?;
        check_address(parts.client, parts.service).map_err(|problem| ("client", problem))?;
        check_address(parts.server, parts.service).map_err(|problem| ("server", problem))?;
        let rule = Self { parts };
        let (client, server) = (rule.parts.client, rule.parts.server);
        if rule.families() == (Families { ipv4: false, ipv6: false, link: false }) {
            let problem =
                Problem::MixedFamilies { client: client.to_string(), server: server.to_string() };
            return Err(("server", problem));
        }
        let open = (client, server) == (AddressMatch::Any, AddressMatch::Any);
        if open && rule.parts.service.protocol() == Protocol::Snap {
            return Err(("service", Problem::SnapOpen));
        }
        Ok(rule)
    }

    /// Number, unique in its policy.
    #[must_use]
    pub fn id(&self) -> RuleId {
        self.parts.id
    }

    /// Every field.
    #[must_use]
    pub fn parts(&self) -> &RuleParts {
        &self.parts
    }

    /// The same rule with another number.
    pub(crate) fn with_id(self, id: RuleId) -> Self {
        Self { parts: RuleParts { id, ..self.parts } }
    }

    /// How a permitted conversation may come into being.
    #[must_use]
    pub fn options(&self) -> RuleOptions {
        RuleOptions {
            client_opens: self.parts.opens != Opens::Server,
            server_opens: self.parts.opens != Opens::Client,
            midstream: self.parts.midstream,
        }
    }

    /// One sentence for people: `10.0.1.11 (side A) → 10.0.2.1 tcp/5000 in VLAN 10`.
    #[must_use]
    pub fn words(&self) -> String {
        Words(self).to_string()
    }

    pub(crate) fn families(&self) -> Families {
        let protocol = self.parts.service.protocol();
        let ends = [self.parts.client, self.parts.server];
        let all = |fits: fn(AddressMatch) -> bool| ends.into_iter().all(fits);
        Families {
            ipv4: protocol.takes_ipv4() && all(may_be_ipv4),
            ipv6: protocol.takes_ipv6() && all(may_be_ipv6),
            link: protocol.kind().is_link_layer(),
        }
    }
}

fn may_be_ipv4(address: AddressMatch) -> bool {
    match address {
        AddressMatch::Any => true,
        AddressMatch::Ip(prefix) => prefix.address().is_ipv4(),
        AddressMatch::Mac(_) => false,
    }
}

fn may_be_ipv6(address: AddressMatch) -> bool {
    match address {
        AddressMatch::Any => true,
        AddressMatch::Ip(prefix) => prefix.address().is_ipv6(),
        AddressMatch::Mac(_) => false,
    }
}

/// Refuses an address that the service's frames don't have.
fn check_address(address: AddressMatch, service: Service) -> Result<(), Problem> {
    let protocol = service.protocol();
    let (fits, allowed) = if protocol.kind().is_link_layer() {
        (!matches!(address, AddressMatch::Ip(_)), "a MAC address or \"any\"")
    } else {
        let fits = protocol.takes_ipv4() && may_be_ipv4(address)
            || protocol.takes_ipv6() && may_be_ipv6(address);
        match (protocol.takes_ipv4(), protocol.takes_ipv6()) {
            (true, false) => (fits, "an IPv4 address or prefix, or \"any\" (IPv6 has icmpv6)"),
            (false, true) => (fits, "an IPv6 address or prefix, or \"any\" (IPv4 has icmp)"),
            _ => (fits, "an IP address or prefix, or \"any\""),
        }
    };
    if fits {
        return Ok(());
    }
    let (found, service) = (address.to_string(), service.to_string());
    Err(Problem::AddressKind { found, service, allowed })
}

/// Refuses a text that is blank, too long, or would move a terminal's cursor.
pub(crate) fn check_text(text: &str) -> Result<(), Problem> {
    let length = text.chars().count();
    let fits = length <= REASON_CHARACTERS_MAX && !text.trim().is_empty();
    if fits && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Problem::NotAllowed {
        found: crate::validate::excerpt(text),
        allowed: "1 to 500 characters, not all of them spaces, without line breaks and other control characters",
        instead: None,
    })
}

/// The same names as in the configuration.
pub(crate) fn check_segment(name: &str) -> Result<(), Problem> {
    let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if (1..=32).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Problem::NotAllowed {
        found: crate::validate::excerpt(name),
        allowed: "the name of a segment: 1 to 32 characters of a-z, 0-9 and -",
        instead: None,
    })
}

struct Words<'rule>(&'rule Rule);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.0.parts;
        let side = match parts.client_side {
            Some(Side::A) => " (side A)",
            Some(Side::B) => " (side B)",
            None => "",
        };
        write!(f, "{}{side} → {} {}", parts.client, parts.server, parts.service)?;
        match parts.vlans {
            VlanMatch::Any => f.write_str(" in any VLAN")?,
            VlanMatch::Exactly(VlanStack::UNTAGGED) => {}
            VlanMatch::Exactly(vlans) => write!(f, " in VLAN {vlans}")?,
        }
        match parts.opens {
            Opens::Client => {}
            Opens::Server => f.write_str(", opened by the server")?,
            Opens::Both => f.write_str(", opened by either")?,
        }
        f.write_str(if parts.midstream { ", also met running" } else { "" })
    }
}

/// The name of a side in files; `both` for none in particular.
pub(crate) fn side_name(side: Option<Side>) -> &'static str {
    match side {
        Some(Side::A) => "a",
        Some(Side::B) => "b",
        None => "both",
    }
}

impl From<&Rule> for RuleFile {
    fn from(rule: &Rule) -> Self {
        let parts = &rule.parts;
        let vlan = match parts.vlans {
            VlanMatch::Exactly(vlans) if vlans.outer() != 0 && vlans.inner() == 0 => {
                VlanFile::Id(i64::from(vlans.outer()))
            }
            vlans => VlanFile::Text(vlans.to_string()),
        };
        Self {
            id: Some(i64::from(parts.id.number())),
            segment: Some(parts.segment.to_string()),
            vlan: Some(vlan),
            client: Some(parts.client.to_string()),
            client_side: Some(side_name(parts.client_side).to_owned()),
            server: Some(parts.server.to_string()),
            service: Some(parts.service.to_string()),
            opens: Some(parts.opens.name().to_owned()),
            midstream: Some(parts.midstream),
            reason: Some(parts.reason.to_string()),
            owner: parts.owner.as_ref().map(ToString::to_string),
        }
    }
}
