//! A good file to make mistakes in, and the way to look at them.

use loadlock_settings::{Problem, Settings, SettingsErrors};

/// A file in which all is well, with places to change.
pub(crate) struct File {
    pub(crate) dataplane: &'static str,
    pub(crate) port_a: &'static str,
    pub(crate) port_b: &'static str,
    pub(crate) segment: &'static str,
    pub(crate) more: &'static str,
}

pub(crate) const GOOD: File = File {
    dataplane: "worker_cores = [1]",
    port_a: "device = \"0000:3b:00.0\"",
    port_b: "device = \"0000:3b:00.1\"",
    segment: "side_a = \"a\"\nside_b = \"b\"",
    more: "",
};

impl File {
    pub(crate) fn text(&self) -> String {
        format!(
            "[dataplane]\n{}\n[[port]]\nname = \"a\"\n{}\n[[port]]\nname = \"b\"\n{}\n[[segment]]\nname = \"s\"\n{}\n{}\n",
            self.dataplane, self.port_a, self.port_b, self.segment, self.more
        )
    }

    pub(crate) fn parse(&self) -> Result<Settings, SettingsErrors> {
        Settings::parse(&self.text(), "/etc/loadlock/test.toml")
    }

    /// The only mistake of the file: line, key, problem as text.
    #[track_caller]
    pub(crate) fn mistake(&self, is_kind: fn(&Problem) -> bool) -> (Option<u32>, String, String) {
        only(&self.text(), is_kind)
    }
}

#[track_caller]
pub(crate) fn only(text: &str, is_kind: fn(&Problem) -> bool) -> (Option<u32>, String, String) {
    let errors = Settings::parse(text, "/etc/loadlock/test.toml").expect_err("a mistake");
    assert_eq!(errors.count(), 1, "{errors}");
    let error = errors.iter().next().expect("one");
    assert!(is_kind(error.problem()), "{error:?}");
    (error.line(), error.key().to_owned(), error.to_string())
}

macro_rules! kind {
    ($variant:ident) => {
        |problem| matches!(problem, Problem::$variant { .. })
    };
}
pub(crate) use kind;

#[track_caller]
pub(crate) fn assert_at(
    found: &(Option<u32>, String, String),
    line: u32,
    key: &str,
    words: &[&str],
) {
    assert_eq!((found.0, found.1.as_str()), (Some(line), key), "{}", found.2);
    for word in words {
        assert!(found.2.contains(word), "{word:?} isn't in:\n{}", found.2);
    }
}
