//! Events as lines of JSON, in a file of bounded size or on standard output.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use loadlock_api::{Lost, to_json};
use loadlock_settings::EventFileSettings;

use crate::delivery::{Delivery, Outlet};
use crate::item::Item;

/// The file and its predecessors `NAME.1` (the latest) to `NAME.n`.
pub(crate) struct EventFile {
    path: PathBuf,
    bytes_max: u64,
    files_kept: u32,
    open: Option<(File, u64)>,
}

/// Standard output.
struct StandardOutput;

impl EventFile {
    /// What is configured.
    pub fn outlet(settings: &EventFileSettings) -> Box<dyn Outlet> {
        let EventFileSettings { path, bytes_max, files_kept, .. } = settings;
        match path {
            None => Box::new(StandardOutput),
            Some(path) => Box::new(Self {
                path: path.clone(),
                bytes_max: *bytes_max,
                files_kept: *files_kept,
                open: None,
            }),
        }
    }

    /// Adds lines; a line that doesn't fit on the disk is taken back, so that no half of one stays.
    fn append(&mut self, text: &str) -> io::Result<()> {
        let is_full = |length: u64| length > 0 && length + text.len() as u64 > self.bytes_max;
        if self.open.as_ref().is_some_and(|(_, length)| is_full(*length)) {
            self.open = None;
            self.rotate()?;
            self.open = Some((File::create_new(&self.path)?, 0));
        }
        let Some((file, length)) = &mut self.open else {
            return Err(io::Error::other("it isn't open"));
        };
        if let Err(error) = file.write_all(text.as_bytes()) {
            file.set_len(*length)?;
            return Err(error);
        }
        *length += text.len() as u64;
        Ok(())
    }

    fn rotate(&self) -> io::Result<()> {
        for number in (0..self.files_kept).rev() {
            let from = if number == 0 { self.path.clone() } else { numbered(&self.path, number) };
            match std::fs::rename(&from, numbered(&self.path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn failed(&self, what: &str, error: &io::Error) -> String {
        format!(
            "can't {what} {}: {error}; check the folder and the free space",
            self.path.display()
        )
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

impl Outlet for EventFile {
    fn connect(&mut self) -> Result<(), String> {
        let open = || {
            let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
            let length = file.metadata()?.len();
            io::Result::Ok((file, length))
        };
        self.open = Some(open().map_err(|error| self.failed("open", &error))?);
        Ok(())
    }

    fn deliver(&mut self, items: &[Item]) -> Delivery {
        let mut delivery = Delivery::default();
        for item in items {
            if let Err(error) = self.append(&line(item)) {
                delivery.failure = Some(self.failed("write to", &error));
                break;
            }
            delivery.taken += 1;
        }
        delivery
    }

    /// Somebody else may have moved or removed the file; then it is begun anew.
    fn idle(&mut self) -> Result<(), String> {
        match self.path.try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => self.connect(),
            Err(error) => Err(self.failed("find", &error)),
        }
    }
}

impl Outlet for StandardOutput {
    fn connect(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn deliver(&mut self, items: &[Item]) -> Delivery {
        let lines: String = items.iter().map(line).collect();
        let mut out = io::stdout().lock();
        match out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Delivery { taken: items.len(), ..Delivery::default() },
            // Whoever read it has gone, and won't come back.
            Err(error) => Delivery {
                taken: items.len(),
                skipped: 0,
                lost: items.len(),
                failure: Some(format!(
                    "can't write to standard output: {error}; start control anew"
                )),
            },
        }
    }
}

/// The item as one line of JSON, with its line feed: the same as `loadlock observe -o json` shows.
fn line(item: &Item) -> String {
    let json = match item {
        Item::Event(event) => to_json(&**event),
        Item::Alarm(alarm) => to_json(&**alarm),
        Item::Lost { count, .. } => to_json(&Lost::new(Some(*count))),
    };
    // Only a map with keys that aren't texts can fail, and there is none.
    let mut line = json.unwrap_or_default();
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::now;

    fn file(folder: &Path, bytes_max: u64, files_kept: u32) -> EventFile {
        EventFile { path: folder.join("events.jsonl"), bytes_max, files_kept, open: None }
    }

    fn items(counts: std::ops::Range<u64>) -> Vec<Item> {
        counts.map(|count| Item::Lost { time: now(), count }).collect()
    }

    #[test]
    fn files_are_bounded_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = file(folder.path(), 100, 2);
        file.connect().unwrap();
        // 26 bytes a line, so three a file.
        assert_eq!(file.deliver(&items(10..20)).taken, 10);
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("events.jsonl"), "{\"kind\":\"lost\",\"count\":19}\n");
        assert_eq!(read("events.jsonl.1").lines().count(), 3);
        assert!(read("events.jsonl.2").starts_with("{\"kind\":\"lost\",\"count\":13}\n"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_restart_adds_to_the_file_and_a_file_that_was_moved_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let mut file = file(folder.path(), 1_000, 2);
            file.connect().unwrap();
            file.deliver(&items(0..1));
        }
        let path = folder.path().join("events.jsonl");
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        let mut file = file(folder.path(), 1_000, 2);
        file.connect().unwrap();
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        file.idle().unwrap();
        file.deliver(&items(0..1));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[test]
    fn a_full_disk_leaves_no_half_line_and_says_so() {
        let full = Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let mut file =
            EventFile { path: full.to_owned(), bytes_max: u64::MAX, files_kept: 1, open: None };
        file.connect().unwrap();
        let delivery = file.deliver(&items(0..2));
        assert_eq!((delivery.taken, delivery.lost), (0, 0));
        assert!(delivery.failure.unwrap().contains("can't"), "it names what failed");
    }
}
