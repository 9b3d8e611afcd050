//! Protocols that negotiate a port for another conversation, and what their messages say of it.
//!
//! Pure readers: one segment's content in, what was said out. No state and no allocation; each looks at a bounded part
//! of the content. Who may say it, and what it opens, is the pipeline's business.

use std::net::IpAddr;

pub mod ftp;
pub mod rpc;
pub mod tftp;

use crate::key::Kind;

/// A protocol whose negotiated ports can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Helper {
    /// File transfer (RFC 959, RFC 2428): active and passive data connections.
    Ftp = 0,
    /// DCE/RPC endpoint mapper, with the activation of OPC classic.
    Rpc = 1,
    /// Trivial file transfer (RFC 1350): the server answers from a new port.
    Tftp = 2,
}

impl Helper {
    /// Every helper.
    pub const ALL: [Self; 3] = [Self::Ftp, Self::Rpc, Self::Tftp];

    /// The name in configuration and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ftp => "ftp",
            Self::Rpc => "dcerpc",
            Self::Tftp => "tftp",
        }
    }

    /// The helper of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|helper| helper.name() == name)
    }

    /// The server's port on which ports are negotiated.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Ftp => 21,
            Self::Rpc => 135,
            Self::Tftp => 69,
        }
    }

    /// Transport of both conversations.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Ftp | Self::Rpc => Kind::Tcp,
            Self::Tftp => Kind::Udp,
        }
    }
}

/// A set of helpers: those that a segment has switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Helpers(u8);

impl Helpers {
    /// None: no negotiated port is opened.
    pub const NONE: Self = Self(0);

    /// With one more.
    #[must_use]
    pub fn with(self, helper: Helper) -> Self {
        Self(self.0 | 1 << helper as u8)
    }

    /// Is it switched on?
    #[inline]
    #[must_use]
    pub fn has(self, helper: Helper) -> bool {
        self.0 & 1 << helper as u8 != 0
    }

    /// The set as a number, a bit for each helper.
    #[inline]
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The set with this number; bits that stand for nothing are left out.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self::ALL_BITS & Self(bits)
    }

    const ALL_BITS: Self = Self(0b111);

    /// The helper for conversations with `port` of a server.
    #[inline]
    #[must_use]
    pub fn on(self, kind: Kind, port: u16) -> Option<Helper> {
        let fits = |helper: &Helper| helper.port() == port && helper.kind() == kind;
        Helper::ALL.into_iter().filter(|helper| self.has(*helper)).find(fits)
    }
}

impl std::ops::BitAnd for Helpers {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// What one message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing about a port.
    Nothing,
    /// The client asks the server for a port.
    Asks,
    /// The sender will be spoken to at `port`; `address` where the message names one.
    Offers {
        /// The host that is named.
        address: Option<IpAddr>,
        /// Its port.
        port: u16,
    },
    /// It may be about a port, but isn't whole here, or contradicts itself.
    Unread,
}

/// Where the next message of the same sender begins, as far as the content tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Right behind the content.
    Here,
    /// Somewhere in what follows.
    Later,
}
