//! `loadlock reload`: take over the changed configuration file without a restart, as far as that goes.

use clap::Args;
use loadlock_api::{KeyChange, ReloadBody, Reloaded, printable};

use crate::exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::reach::Reach;

/// Arguments of `reload`.
#[derive(Args)]
pub struct Arguments {
    /// Only say what would change and what would need a restart
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

impl Arguments {
    /// Reloads and says what came of it.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let body = ReloadBody { dry_run: self.dry_run };
        let reloaded = self.reach.connect()?.reload(&body)?;
        self.output.show(&reloaded, render)?;
        Ok(exit::OK)
    }
}

const CONTROL: &str =
    "restart control (systemctl restart loadlock-control): nothing on the line notices";
const DATAPLANE: &str = "restart the dataplane (systemctl restart loadlock-dataplane): the line is interrupted until it forwards again, or joined \
     by a relay (segment.dataplane_dead); running conversations are adopted";
const BOTH: &str = "restart control and the dataplane (systemctl restart loadlock-control loadlock-dataplane): the line is interrupted \
                    as by a restart of the dataplane";

fn render(reloaded: &Reloaded) -> String {
    let mut text = String::new();
    let done = if reloaded.dry_run { "would change at once" } else { "changed" };
    section(&mut text, done, &reloaded.changed);
    if reloaded.certificate_read && !reloaded.dry_run {
        text.push_str("the API's certificate was read again, for connections from now on\n");
    }
    section(&mut text, CONTROL, &reloaded.needs_control);
    section(&mut text, DATAPLANE, &reloaded.needs_dataplane);
    section(&mut text, BOTH, &reloaded.needs_both);
    section(&mut text, "said of a first start only; use `loadlock mode`", &reloaded.by_verb);
    let file = printable(&reloaded.file);
    if text.is_empty() {
        return format!("{file}: valid, and all of it runs already\n");
    }
    format!("{file}: valid\n{text}")
}

fn section(text: &mut String, heading: &str, changes: &[KeyChange]) {
    if changes.is_empty() {
        return;
    }
    text.push_str(heading);
    text.push_str(":\n");
    for change in changes {
        let [key, old, new] = [&change.key, &change.old, &change.new].map(|part| printable(part));
        let old = if old.is_empty() { "nothing".into() } else { old };
        text.push_str(&format!("  {key}: {old} -> {new}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Reloaded {
        Reloaded {
            file: "/etc/l.toml".to_owned(),
            dry_run: false,
            changed: Vec::new(),
            certificate_read: false,
            needs_control: Vec::new(),
            needs_dataplane: Vec::new(),
            needs_both: Vec::new(),
            by_verb: Vec::new(),
        }
    }

    #[test]
    fn an_unchanged_file_is_one_line() {
        assert_eq!(render(&nothing()), "/etc/l.toml: valid, and all of it runs already\n");
    }

    #[test]
    fn each_class_has_its_heading_and_old_and_new() {
        let change = |key: &str| {
            vec![KeyChange { key: key.to_owned(), old: "1".to_owned(), new: "2".to_owned() }]
        };
        let text = render(&Reloaded {
            changed: change("control.version_interval_s"),
            needs_dataplane: change("flows.udp_s"),
            ..nothing()
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            ["/etc/l.toml: valid", "changed:", "  control.version_interval_s: 1 -> 2"]
        );
        assert!(lines[3].contains("the line is interrupted"), "{text}");
        assert_eq!(lines[4], "  flows.udp_s: 1 -> 2");
    }
}
