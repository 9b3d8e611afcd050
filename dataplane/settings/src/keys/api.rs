//! `[api]`: who may use the API, and from where.

use super::{integer, text};
use crate::schema::{Kind, PathRule, Table};

pub(crate) static API: Table = Table {
    name: "api",
    repeated: None,
    meaning: "Who may use the API of `loadlock control`, and from where. Users and tokens: `loadlock user`, `loadlock token`.",
    keys: &[
        text(
            "socket_role",
            Kind::Choice(&["viewer", "operator", "approver", "admin"]),
            "admin",
            "What members of the group of `control.socket` may do. A viewer sees; an operator proposes, puts in force what is \
             approved, cuts off and rolls back; an approver also decides what is permitted; an admin also manages users. root, and \
             the user that control runs as, may do everything.",
        ),
        text(
            "tls_listen",
            Kind::Listen,
            "",
            "Where the API is served over TLS, to who has a token or logs in.",
        ),
        text(
            "tls_certificate",
            Kind::Path(PathRule::File),
            "/etc/loadlock/tls/certificate.pem",
            "PEM file with the certificate, and those that lead to its authority. Read at start, if `tls_listen` is set.",
        ),
        text(
            "tls_key",
            Kind::Path(PathRule::File),
            "/etc/loadlock/tls/key.pem",
            "PEM file with the private key. Nobody but its owner may write it, and nobody but owner and group read it.",
        ),
        integer(
            "connections",
            (4, 1_024),
            64,
            "connections",
            "Most connections over TLS at a time, a quarter of them for one address. The socket has room of its own.",
        ),
        integer(
            "requests_per_s",
            (1, 100_000),
            100,
            "requests/s",
            "Requests of one client (an address, or a user of the socket), of which twice as many may come at once; more are \
             refused with status 429. root, and the user that control runs as, aren't limited on the socket.",
        ),
    ],
};
