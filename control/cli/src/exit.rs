//! The exit codes: one table for the program, its help and its documents. They are stable.

/// Done.
pub const OK: u8 = 0;
/// The question was answered, and the answer is no.
pub const NO: u8 = 1;
/// The command line is wrong; clap's own code.
pub const USAGE: u8 = 2;
/// A configuration, policy or scenario file has mistakes, or doesn't fit this machine.
pub const CONFIGURATION: u8 = 3;
/// Control can't be reached.
pub const UNREACHABLE: u8 = 4;
/// Control refused the request, or failed at it.
pub const REFUSED: u8 = 5;
/// A capture or another input can't be read.
pub const INPUT: u8 = 6;
/// The store failed.
pub const STORE: u8 = 7;
/// An output can't be written.
pub const OUTPUT: u8 = 8;

/// A process of the appliance couldn't start, or died.
pub const PROCESS: u8 = 9;

/// Every code with its name and meaning.
pub const CODES: [(u8, &str, &str); 10] = [
    (OK, "ok", "done"),
    (
        NO,
        "no",
        "the answer is no: something asserted doesn't hold, or there are alarms and --fail-on-alarm was given",
    ),
    (USAGE, "usage", "the command line is wrong"),
    (
        CONFIGURATION,
        "configuration",
        "a configuration, policy or scenario file has mistakes, or doesn't fit this machine",
    ),
    (UNREACHABLE, "unreachable", "control can't be reached: not running, no permission, no answer"),
    (REFUSED, "refused", "control refused the request, or failed at it"),
    (INPUT, "input", "a capture or another input can't be read"),
    (STORE, "store", "the store failed; what was in force still is"),
    (OUTPUT, "output", "an output can't be written"),
    (PROCESS, "process", "a process of the appliance couldn't start, or died"),
];

/// The codes as the end of `--help`.
pub fn table() -> String {
    let lines = CODES.map(|(code, name, meaning)| format!("  {code}  {name:<13}  {meaning}\n"));
    format!("Exit codes:\n{}", lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_its_place_in_the_table() {
        for (place, (code, _, _)) in CODES.iter().enumerate() {
            assert_eq!(place, usize::from(*code));
        }
    }
}
