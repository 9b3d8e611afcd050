//! What a key of the configuration file is: the vocabulary in which [`crate::keys`] writes the table of all keys.
//!
//! Validation, the nearest-key hint and the reference text all read that one table, so that a key cannot be accepted
//! but undocumented, or documented with a range that isn't the one enforced.

use std::fmt;

/// One `[table]` or `[[table]]` of the file.
#[derive(Debug)]
pub(crate) struct Table {
    /// Name between the brackets.
    pub(crate) name: &'static str,
    /// How many there may be, for a `[[table]]`; `None` for a `[table]`, which stands once at most.
    pub(crate) repeated: Option<Repeated>,
    /// One sentence or two for the reference.
    pub(crate) meaning: &'static str,
    /// The keys, in the order of the reference.
    pub(crate) keys: &'static [Key],
}

/// Bounds on the number of entries of a `[[table]]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeated {
    /// Fewest entries of a file that can work.
    pub(crate) minimum: usize,
    /// Most entries, and the reason is in the table's meaning.
    pub(crate) maximum: usize,
    /// Entries that the reference shows, each with its own examples.
    pub(crate) shown: usize,
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    /// Name left of the equals sign.
    pub(crate) name: &'static str,
    /// Type and range.
    pub(crate) kind: Kind,
    /// What holds when the key is absent.
    pub(crate) default: Default,
    /// Unit of a number; empty where there is none to name beyond what the kind says.
    pub(crate) unit: &'static str,
    /// What it does, in sentences.
    pub(crate) meaning: &'static str,
    /// TOML values to show where there is no default, one for each shown entry of the table.
    pub(crate) examples: &'static [&'static str],
}

/// Type and range of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A whole number.
    Integer {
        /// Smallest allowed.
        minimum: u64,
        /// Largest allowed.
        maximum: u64,
        /// What holds besides the range.
        shape: Shape,
    },
    /// `true` or `false`.
    Flag,
    /// One word of a list.
    Choice(&'static [&'static str]),
    /// Any number of words of a list, none twice.
    Choices(&'static [&'static str]),
    /// A list of CPU numbers, none twice.
    Cores {
        /// Fewest entries.
        count_min: usize,
        /// Most entries.
        count_max: usize,
    },
    /// A short identifier.
    Name {
        /// Whether `_` is allowed besides `a-z`, `0-9` and `-`.
        underscore: bool,
    },
    /// A file or folder.
    Path(PathRule),
    /// An IP address with a port, or nothing.
    Listen,
    /// A PCI address or the name of a virtual driver.
    Device,
    /// The inline table of a virtual driver's options.
    Options,
    /// The name of a `[[port]]`.
    PortReference,
    /// A key of RSS in hexadecimal digits.
    RssKey,
    /// A line of a GPIO chip, or nothing.
    GpioLine,
    /// A list of receivers, none twice.
    Targets {
        /// Allowed words before `://`.
        schemes: &'static [&'static str],
        /// Most entries.
        count_max: usize,
    },
}

/// Extra condition on a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Every number of the range.
    Any,
    /// Every number of the range, each the number of a CPU.
    Core,
    /// Only powers of two.
    PowerOfTwo,
    /// The range, or 0 with the meaning given.
    OrZero(&'static str),
}

/// Which paths are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathRule {
    /// Begins with `/`: the two processes and the tools must agree on it wherever they run.
    Absolute,
    /// Begins with `/`, or is empty with the meaning given.
    AbsoluteOrEmpty(&'static str),
    /// Relative ones count from the folder of the configuration file.
    File,
    /// Like `File`, or empty with the meaning given.
    FileOrEmpty(&'static str),
    /// Like `File`, and short enough for a Unix socket.
    Socket,
}

/// Longest identifier, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 32;
/// Longest path of a Unix socket: `sun_path` has 108 bytes with its final NUL (unix(7)).
pub(crate) const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Highest CPU number: DPDK and the kernel's `cpu_set_t` count to 1024.
pub(crate) const CORE_MAX: u64 = 1023;

/// What holds when a key is absent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Default {
    /// Nothing: the key must be there.
    Required,
    /// The key may be absent and then has no value.
    Absent,
    /// This number.
    Integer(u64),
    /// This truth value.
    Flag(bool),
    /// This text.
    Text(&'static str),
    /// These texts.
    Texts(&'static [&'static str]),
}

impl Key {
    /// The sentence part that says which values are allowed, used in errors and in the reference.
    pub(crate) fn allowed(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        match self.kind {
            Kind::Integer { minimum, maximum, shape } => match shape {
                Shape::Any => format!("{minimum} to {maximum}{unit}"),
                Shape::Core => format!("a CPU number from {minimum} to {maximum}"),
                Shape::PowerOfTwo => format!("a power of two from {minimum} to {maximum}{unit}"),
                Shape::OrZero(meaning) => {
                    format!("{minimum} to {maximum}{unit}, or 0 ({meaning})")
                }
            },
            Kind::Flag => "true or false".to_owned(),
            Kind::Choice(words) => one_of(words),
            Kind::Choices(words) => {
                format!("a list of any of {}, none twice", quoted(words, ", "))
            }
            Kind::Cores { count_min, count_max } => format!(
                "a list of {count_min} to {count_max} CPU numbers from 0 to {CORE_MAX}, none twice"
            ),
            Kind::RssKey => "8 hexadecimal digits such as \"6d5a6d5a\", whose hashes are many enough".to_owned(),
            Kind::GpioLine => "a chip and the number of a line such as \"/dev/gpiochip0:17\", with \":active-low\" behind it if \
                               active is the low level, or \"\" (none)"
                .to_owned(),
            Kind::Name { underscore } => format!(
                "1 to {NAME_BYTES_MAX} characters of a-z, 0-9{}, the first a letter or digit",
                if underscore { ", - and _" } else { " and -" }
            ),
            Kind::Path(PathRule::Absolute) => "an absolute path, beginning with /".to_owned(),
            Kind::Path(PathRule::AbsoluteOrEmpty(meaning)) => {
                format!("an absolute path, beginning with /, or \"\" ({meaning})")
            }
            Kind::Path(PathRule::File) => {
                "a path; a relative one counts from the folder of this file".to_owned()
            }
            Kind::Path(PathRule::FileOrEmpty(meaning)) => format!(
                "a path; a relative one counts from the folder of this file, or \"\" ({meaning})"
            ),
            Kind::Path(PathRule::Socket) => format!(
                "a path of at most {SOCKET_PATH_BYTES_MAX} bytes; a relative one counts from the folder of this file"
            ),
            Kind::Listen => {
                "an IP address with a port such as \"192.0.2.1:8443\" or \"[::]:8443\", or \"\" (not at all)".to_owned()
            }
            Kind::Device => format!(
                "a PCI address such as \"0000:3b:00.0\", or a virtual driver: {}",
                crate::drivers::names().join(", ")
            ),
            Kind::Options => {
                "an inline table with the options of the virtual driver in `device`".to_owned()
            }
            Kind::PortReference => "the name of a [[port]]".to_owned(),
            Kind::Targets { schemes, count_max } => {
                let forms: Vec<String> =
                    schemes.iter().map(|scheme| format!("{scheme}://HOST:PORT")).collect();
                format!("a list of at most {count_max}, each {}, none twice", one_of(&forms))
            }
        }
    }

    /// The TOML type that the kind is written in, with its article.
    pub(crate) fn written_as(&self) -> &'static str {
        match self.kind {
            Kind::Integer { .. } => "a whole number without quotes",
            Kind::Flag => "true or false without quotes",
            Kind::Choice(_) | Kind::Name { .. } | Kind::Path(_) | Kind::Device | Kind::Listen => {
                "text in double quotes"
            }
            Kind::PortReference | Kind::RssKey | Kind::GpioLine => "text in double quotes",
            Kind::Choices(_) | Kind::Targets { .. } => "a list of texts, like [\"one\", \"two\"]",
            Kind::Cores { .. } => "a list of whole numbers, like [1, 2]",
            Kind::Options => "an inline table, like { iface = \"eth1\" }",
        }
    }

    /// The default in TOML, or `None` if there is no value to show.
    pub(crate) fn default_text(&self) -> Option<String> {
        match self.default {
            Default::Required | Default::Absent => None,
            Default::Integer(number) => Some(number.to_string()),
            Default::Flag(flag) => Some(flag.to_string()),
            Default::Text(text) => Some(format!("\"{text}\"")),
            Default::Texts(texts) => Some(format!("[{}]", quoted(texts, ", "))),
        }
    }
}

impl Table {
    /// The header as it stands in the file.
    pub(crate) fn header(&self) -> String {
        if self.repeated.is_some() {
            format!("[[{}]]", self.name)
        } else {
            format!("[{}]", self.name)
        }
    }

    /// The key of this name.
    ///
    /// # Panics
    /// If the table has no such key: a mistake in this crate, which every parse of any text would meet.
    pub(crate) fn key(&self, name: &str) -> &Key {
        match self.keys.iter().find(|key| key.name == name) {
            Some(key) => key,
            None => panic!("the code reads {}.{name}, which keys.rs lacks", self.name),
        }
    }
}

impl fmt::Display for Default {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => formatter.write_str("none, the key is required"),
            Self::Absent => formatter.write_str("absent"),
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Flag(flag) => write!(formatter, "{flag}"),
            Self::Text(text) => write!(formatter, "\"{text}\""),
            Self::Texts(texts) => write!(formatter, "[{}]", quoted(texts, ", ")),
        }
    }
}

/// Digits in groups of three: `32,768`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The words in double quotes, with the separator between them.
pub(crate) fn quoted(words: &[impl AsRef<str>], separator: &str) -> String {
    words.iter().map(|word| format!("\"{}\"", word.as_ref())).collect::<Vec<_>>().join(separator)
}

/// The words in double quotes with commas and a final "or".
pub(crate) fn one_of(words: &[impl AsRef<str>]) -> String {
    match words {
        [] => String::new(),
        [word] => format!("\"{}\"", word.as_ref()),
        [first @ .., last] => format!("{} or \"{}\"", quoted(first, ", "), last.as_ref()),
    }
}
