//! The table of keys against the code that reads it.

use super::*;
use crate::Settings;
use crate::findings::Findings;

/// The reference names every key, so reading it must look each of them up.
#[test]
fn every_key_is_read() {
    let text = crate::reference();
    let settings = Settings::parse(&text, "x.toml").unwrap_or_else(|errors| panic!("{errors}"));
    for table in TABLES {
        for key in table.keys {
            let read = settings.lines.keys().any(|path| {
                let in_table =
                    path.strip_prefix(table.name).is_some_and(|rest| rest.starts_with(['.', '[']));
                in_table && path.rsplit('.').next() == Some(key.name)
            });
            let shown = !matches!(key.default, Default::Absent);
            assert!(read || !shown, "{}.{}", table.name, key.name);
        }
    }
}

/// Both limits of every number fit the type of its field: `Scope::integer` panics otherwise.
#[test]
fn every_number_takes_its_limits() {
    for table in TABLES {
        for key in table.keys {
            let Kind::Integer { minimum, maximum, .. } = key.kind else {
                continue;
            };
            for limit in [minimum, maximum] {
                let text = format!("{}\n{} = {limit}\n", table.header(), key.name);
                let (document, _) = toml::de::DeTable::parse_recoverable(&text);
                let mut findings = Findings::new(&text, "x.toml");
                let document = crate::read::Document {
                    root: document.get_ref(),
                    folder: std::path::Path::new("/"),
                };
                document.read(&mut findings);
                let refused = findings.errors.iter().any(|error| error.key.ends_with(key.name));
                assert!(!refused, "{}.{} = {limit}", table.name, key.name);
            }
        }
    }
}

#[test]
fn every_key_is_explained() {
    let text = crate::reference();
    for table in TABLES {
        assert!(text.contains(&table.header()), "{}", table.name);
        for key in table.keys {
            assert!(key.meaning.ends_with('.'), "{}.{}", table.name, key.name);
            assert!(
                text.contains(&format!("\n{} = ", key.name))
                    || text.contains(&format!("\n# {} = ", key.name))
            );
            let shown = table.repeated.map_or(1, |repeated| repeated.shown);
            let has_example = key.examples.len() == shown;
            assert_eq!(has_example, matches!(key.default, Default::Required), "{}", key.name);
        }
    }
}
