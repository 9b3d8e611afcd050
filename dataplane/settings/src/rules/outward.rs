//! Rules between the keys of `[outward.*]`.

use crate::findings::Findings;
use crate::problem::Problem;
use crate::settings::{Settings, Transport};

/// A server that isn't checked could be anybody's, and a certificate without its key is none.
pub(super) fn tls_has_its_files(settings: &Settings, findings: &mut Findings<'_>) {
    let syslog = &settings.outward.syslog;
    let mut missing = |key: &str, holds: &str, example: &str| {
        let path = format!("outward.syslog.{key}");
        if findings.is_sound("outward.syslog") {
            let problem = Problem::Missing {
                allowed: format!("a PEM file with {holds}"),
                example: format!("below [outward.syslog]: {key} = \"/etc/loadlock/{example}\""),
            };
            findings.report_at(&path, problem);
        }
    };
    if syslog.targets.iter().any(|target| target.transport == Transport::Tls)
        && syslog.ca_file.is_none()
    {
        missing("ca_file", "the authorities of the tls:// servers' certificates", "syslog-ca.pem");
    }
    match (&syslog.certificate_file, &syslog.key_file) {
        (Some(_), None) => missing("key_file", "the key of certificate_file", "syslog-key.pem"),
        (None, Some(_)) => missing("certificate_file", "the certificate of key_file", "syslog.pem"),
        _ => {}
    }
}
