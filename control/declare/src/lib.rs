//! What suppliers declare that their devices need: port lists (CSV) and Manufacturer Usage Descriptions (MUD, RFC 8520) in, and a
//! role's MUD out.
//!
//! Reading text only: which files, and what becomes of a declaration, is the business of others. A declaration says nothing about
//! which devices it is for; who reads it says that.
#![forbid(unsafe_code)]

mod list;
mod mud;

use std::fmt;
use std::net::IpAddr;

use loadlock_learn::Declared;

pub use mud::to_mud;

/// A declaration can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclareError {
    /// The file.
    pub file: String,
    /// All mistakes: place, value, what is allowed.
    pub problems: Vec<String>,
}

impl fmt::Display for DeclareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "declaration {}: {} to correct:", self.file, self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for DeclareError {}

/// Reads a declaration: JSON is MUD, everything else a port list. `devices` are those that it is for, unless the list names them.
///
/// # Errors
/// [`DeclareError`] with all mistakes at once.
pub fn read(file: &str, text: &str, devices: &[IpAddr]) -> Result<Declared, DeclareError> {
    let read = match text.trim_start().starts_with('{') {
        true => mud::read(file, text, devices),
        false => list::read(file, text, devices),
    };
    read.map_err(|problems| DeclareError { file: file.to_owned(), problems })
}
