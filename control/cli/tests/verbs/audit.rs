//! The audit log: pages, filters, and the check.

use loadlock_api::AuditCheck;

use crate::{ask, outcome, program, run, served};

#[test]
fn the_log_is_listed_in_pages_the_latest_first() {
    let (_folder, served) = served();
    let out = ask(&served, &["audit", "list", "--limit", "2"]);
    println!("{out}");
    assert_eq!(
        out,
        "\
NUMBER  TIME                       WHO   DID      VERSION  NOTE
     3  2026-05-04T12:03:11+00:00  bert  account        –  user \\u{1b}[2J added
     2  2026-05-04T12:02:11+00:00  anna  applied       37  new recipe server
the latest 2 of 3 entries; --before 2 shows those before
"
    );
    let rest = ask(&served, &["audit", "list", "--before", "2"]);
    assert!(rest.ends_with("\n1 entry\n") && rest.contains("     1  "), "{rest}");
    let wide = ask(&served, &["audit", "list", "-o", "wide"]);
    assert!(wide.contains("SHA-256") && wide.contains(&"03".repeat(32)), "{wide}");
    assert!(ask(&served, &["audit", "list", "--actor", "bert"]).contains("1 entry"));
    assert!(ask(&served, &["audit", "list", "--action", "applied"]).contains("1 entry"));
    assert!(
        ask(&served, &["audit", "list", "--since", "2026-05-04T12:02:30Z"]).contains("1 entry")
    );
    assert_eq!(ask(&served, &["audit", "list", "--since", "2027-01-01"]), "no such entry\n");
    let (code, _, err) = run(&["audit", "list", "--since", "yesterday"]);
    assert!(code == 2 && err.contains("such as 2026-11-01"), "{err}");
}

#[test]
fn a_broken_chain_ends_with_code_one_and_names_the_entry() {
    let (_folder, served) = served();
    let out = ask(&served, &["audit", "verify"]);
    println!("{out}");
    assert!(
        out.starts_with("the audit log is whole: 3 entries\nSHA-256 of the last: 0303"),
        "{out}"
    );
    *served.backend.audit_check.lock().unwrap() = AuditCheck {
        is_whole: false,
        whole_entries: 1,
        last_sha256: Some("01".repeat(32)),
        broken_entry: Some(2),
        finding: Some("entry 2 of the audit log is damaged".to_owned()),
    };
    let verify = |format| {
        outcome(program(&["audit", "verify", "-o", format, "--socket"]).arg(&served.socket))
    };
    let (code, out, err) = verify("table");
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(
        out.starts_with("NOT whole: entry 2 of the audit log is damaged; 1 entry before"),
        "{out}"
    );
    let (code, out, _) = verify("json");
    let check: AuditCheck = serde_json::from_str(&out).unwrap();
    assert_eq!((code, check.broken_entry), (1, Some(2)));
}
