//! Services with which machines are taken over: never admitted across zones without a person.

use loadlock_packet::Kind;

/// What kind of a way in it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Management {
    /// File sharing: SMB and NetBIOS sessions.
    FileSharing,
    /// Databases.
    Database,
    /// Remote desktop, VNC, X11.
    Desktop,
    /// Telnet, SSH, rlogin and their like.
    Shell,
    /// WinRM, DCOM and others of Windows.
    WindowsManagement,
}

impl Management {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::FileSharing => "file sharing (SMB)",
            Self::Database => "a database",
            Self::Desktop => "a remote desktop",
            Self::Shell => "a remote shell",
            Self::WindowsManagement => "Windows remote management",
        }
    }

    /// Recipes come by SMB and results go to databases: what most of a role does every day may be admitted by itself.
    pub(crate) fn may_be_habit(self) -> bool {
        matches!(self, Self::FileSharing | Self::Database)
    }
}

/// True for ports that are a service's by themselves: the system ports, and those registered or customary on plant floors and wards
/// (IANA's registry of service names; SEMI E37 for 5000 and up). No more than a hint of who is the server, where nothing better is known.
pub(crate) fn is_known_service(port: u16) -> bool {
    matches!(
        port,
        ..1024
            | 1089..=1091
            | 1433
            | 1521
            | 1883
            | 2222
            | 2404
            | 2575
            | 2761
            | 2762
            | 3306
            | 3389
            | 4840
            | 4843
            | 5000..=5020
            | 5060
            | 5432
            | 5900..=5906
            | 5985
            | 5986
            | 8000
            | 8080
            | 8443
            | 8883
            | 9600
            | 11112
            | 18245
            | 20000
            | 34962..=34964
            | 44818
            | 47808
    )
}

/// The class of a service, if it has one.
#[must_use]
pub fn management(kind: Kind, port: u16) -> Option<Management> {
    if kind != Kind::Tcp {
        return None;
    }
    Some(match port {
        139 | 445 => Management::FileSharing,
        1433 | 1521 | 3306 | 5432 | 27017 | 6379 => Management::Database,
        3389 | 5900..=5906 | 6000..=6005 => Management::Desktop,
        22 | 23 | 512..=514 | 2323 => Management::Shell,
        593 | 5985 | 5986 => Management::WindowsManagement,
        _ => return None,
    })
}
