//! Documents that programs write: JSON with TOML's names, and texts for TOML's times.

use toml::{Table, Value};

use super::Document;
use crate::error::{PolicyError, PolicyErrors, Problem};

impl Document {
    /// Reads and validates a text in either form: TOML as [`Document::parse`], or a JSON object with the same names, which is kept as
    /// TOML. `place` is its name in messages; of a JSON text they name the lines of its TOML form.
    ///
    /// # Errors
    /// All mistakes at once, in the order of their lines. If it isn't JSON, only the first.
    pub fn read(text: &str, place: &str) -> Result<Self, PolicyErrors> {
        // No TOML text begins so.
        if !text.trim_start().starts_with('{') {
            return Self::parse(text, place);
        }
        let refused = |line: Option<usize>, message: String| PolicyError {
            place: place.to_owned(),
            line,
            key: String::new(),
            problem: Problem::Json { message },
        };
        let mut table: Table = serde_json::from_str(text)
            .map_err(|error| refused(Some(error.line()), error.to_string()))?;
        table.iter_mut().for_each(|(_, value)| with_times(value));
        let text = toml::to_string(&table).map_err(|error| refused(None, error.to_string()))?;
        Self::parse(&text, &format!("{place} as TOML"))
    }
}

/// JSON has no times: those of the one key that takes one. What isn't one stays a text, and is refused as such.
fn with_times(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(with_times),
        Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                match value {
                    Value::String(text) if key == "expires" => {
                        if let Ok(time) = text.parse() {
                            *value = Value::Datetime(time);
                        }
                    }
                    other => with_times(other),
                }
            }
        }
        _ => {}
    }
}
