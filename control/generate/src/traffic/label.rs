//! Ground truth: what a generated packet is.

/// What a packet is in truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// Belongs to the line's work.
    Benign(BenignClass),
    /// Belongs to an attack, answers to it included.
    Attack(AttackClass),
}

/// Kinds of the line's own traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BenignClass {
    /// MES and tool, 5000/tcp.
    Hsms,
    /// EDA collector and tool, 80/tcp and 8080/tcp.
    Eda,
    /// Tool and recipe server, 445/tcp.
    Recipe,
    /// Tool to infrastructure, 514/udp.
    Syslog,
    /// Tool and infrastructure, 123/udp.
    Ntp,
    /// Tool and infrastructure, 53/udp.
    Dns,
    /// MES and tool, ICMP echo.
    Ping,
    /// Any two hosts of the segment.
    Arp,
}

/// Kinds of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttackClass {
    /// Office PC to tools, SYN to 445, 3389, 22 and 5000.
    TcpScan,
    /// Office PC to tools, 161/udp.
    SnmpProbe,
    /// Recipe server to tools, from its own port 445: an allowed pair of hosts and port, opened the wrong way.
    ReverseRule,
    /// Tool to MES, 445/tcp.
    ToolSmb,
}

impl Label {
    /// `benign` or `attack`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Benign(_) => "benign",
            Self::Attack(_) => "attack",
        }
    }

    /// The class within, such as `hsms` or `tcp-scan`.
    pub fn class(self) -> &'static str {
        match self {
            Self::Benign(class) => match class {
                BenignClass::Hsms => "hsms",
                BenignClass::Eda => "eda",
                BenignClass::Recipe => "recipe",
                BenignClass::Syslog => "syslog",
                BenignClass::Ntp => "ntp",
                BenignClass::Dns => "dns",
                BenignClass::Ping => "ping",
                BenignClass::Arp => "arp",
            },
            Self::Attack(class) => match class {
                AttackClass::TcpScan => "tcp-scan",
                AttackClass::SnmpProbe => "snmp-probe",
                AttackClass::ReverseRule => "reverse-rule",
                AttackClass::ToolSmb => "tool-smb",
            },
        }
    }

    /// Whether the packet belongs to an attack.
    pub fn is_attack(self) -> bool {
        matches!(self, Self::Attack(_))
    }
}
