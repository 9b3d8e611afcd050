//! A copy of the version in force, beside the database: what is enforced survives a damaged database.
//!
//! Written after the database, to another name, synced and renamed; so it is whole, and at most one step behind. Form: a first line with
//! the format, then every field with its length before it, then SHA-256 over all of that.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::force::{Head, InForce};
use crate::open::{SCHEMA_VERSION, Store};
use crate::version::{NewVersion, VersionNumber, modes_of, modes_text};

const FIRST_LINE: &[u8] = b"loadlock policy in force 1\n";

/// What the copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// Schema of the database it was made from.
    pub schema: u64,
    /// Audit entry that put the version in force.
    pub entry: u64,
    pub number: VersionNumber,
    pub sha256: Vec<u8>,
    pub content: NewVersion,
}

/// Where the copy of a database lies.
pub(crate) fn place(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".in-force");
    PathBuf::from(name)
}

impl Copy {
    pub fn of(in_force: InForce) -> Self {
        let version = in_force.version;
        Self {
            schema: SCHEMA_VERSION.unsigned_abs(),
            entry: in_force.entry,
            number: version.number,
            sha256: version.sha256,
            content: version.content,
        }
    }

    /// True if writing it again would write the same.
    pub fn is_of(&self, in_force: &InForce) -> bool {
        let own = (self.schema, self.entry, self.number, &self.sha256);
        let version = &in_force.version;
        own == (SCHEMA_VERSION.unsigned_abs(), in_force.entry, version.number, &version.sha256)
    }

    fn write_to(&self, file: &mut File) -> io::Result<()> {
        let content = &self.content;
        let numbers = [self.schema, self.entry, self.number.0, content.created_ns];
        let numbers = numbers.map(u64::to_le_bytes);
        let modes = modes_text(&content.modes);
        let texts: [&[u8]; 7] = [
            &self.sha256,
            content.author.as_bytes(),
            content.reason.as_bytes(),
            content.ticket.as_bytes(),
            modes.as_bytes(),
            content.source.as_bytes(),
            content.rules.as_bytes(),
        ];
        let mut sum = Sha256::new();
        let mut put = |bytes: &[u8]| {
            sum.update(bytes);
            file.write_all(bytes)
        };
        put(FIRST_LINE)?;
        for field in numbers.iter().map(|number| &number[..]).chain(texts) {
            put(&(field.len() as u64).to_le_bytes())?;
            put(field)?;
        }
        file.write_all(&sum.finalize())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (content, sum) = bytes.split_last_chunk::<32>()?;
        if Sha256::digest(content).as_slice() != sum {
            return None;
        }
        let mut rest = content.strip_prefix(FIRST_LINE)?;
        let mut field = || {
            let (length, behind) = rest.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (field, behind) = behind.split_at_checked(length)?;
            rest = behind;
            Some(field)
        };
        let mut numbers = [0; 4];
        for number in &mut numbers {
            *number = u64::from_le_bytes(field()?.try_into().ok()?);
        }
        let sha256 = field()?.to_vec();
        let mut text = || String::from_utf8(field()?.to_vec()).ok();
        let [schema, entry, number, created_ns] = numbers;
        let (author, reason, ticket) = (text()?, text()?, text()?);
        let modes = modes_of(&text()?)?;
        let (source, rules) = (text()?, text()?);
        let content = NewVersion { created_ns, author, reason, ticket, modes, source, rules };
        Some(Self { schema, entry, number: VersionNumber(number), sha256, content })
    }

    /// Reads the copy of a database; `None` if there is none, or it isn't whole.
    pub fn read(database: &Path) -> Option<Self> {
        Self::from_bytes(&fs::read(place(database)).ok()?)
    }

    /// Replaces the copy of a database; on return it is on disk.
    pub fn write(&self, database: &Path) -> io::Result<()> {
        let place = place(database);
        let mut new = place.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        let mut file = File::create(&new)?;
        self.write_to(&mut file)?;
        file.sync_all()?;
        fs::rename(&new, &place)?;
        match place.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }
}

impl Store {
    /// Brings the copy up to date. The database has it already, so that failing costs the second copy only; it is kept for
    /// [`Store::copy_trouble`].
    pub(crate) fn refresh_copy(&mut self) {
        let written = match self.in_force() {
            Ok(Some(in_force)) => {
                self.head.set(Some(Some(Head::of(&in_force))));
                Copy::of(in_force).write(&self.path).map_err(|error| error.to_string())
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        self.copy_trouble = written.err();
    }

    /// Why the copy of the version in force isn't up to date; `None` if it is.
    #[must_use]
    pub fn copy_trouble(&self) -> Option<String> {
        self.copy_trouble.as_ref().map(|trouble| {
            format!(
                "the copy of the policy in force ({}) can't be written: {trouble}; check free space and rights of its folder",
                place(&self.path).display()
            )
        })
    }
}
