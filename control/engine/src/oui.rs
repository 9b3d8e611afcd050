//! Who a station's address is assigned to, by the IEEE's list as Debian's package ieee-data has it.
//!
//! Read once, when it is first asked for; without the package nothing is known. A locally administered address says nothing about its maker.

use std::collections::HashMap;
use std::sync::OnceLock;

use loadlock_packet::MacAddress;

/// Assignments of 24 bits, as Debian's ieee-data 20220827 writes them.
const LIST: &str = "/usr/share/ieee-data/oui.txt";
/// A name that is longer is cut.
const NAME_CHARACTERS_MAX: usize = 80;

static VENDORS: OnceLock<HashMap<[u8; 3], String>> = OnceLock::new();

/// The vendor of this station, if the list is installed and has it.
pub(crate) fn vendor(mac: MacAddress) -> Option<&'static str> {
    let MacAddress([first, second, third, ..]) = mac;
    if first & 0b11 != 0 {
        return None;
    }
    let read = || read(&std::fs::read(LIST).unwrap_or_default());
    VENDORS.get_or_init(read).get(&[first, second, third]).map(String::as_str)
}

/// Lines such as `00-1B-21   (hex)\t\tIntel Corporate`; others are left out.
fn read(list: &[u8]) -> HashMap<[u8; 3], String> {
    let text = String::from_utf8_lossy(list);
    let assignment = |line: &str| {
        let (prefix, name) = line.split_once("(hex)")?;
        let digits: String = prefix.trim().split('-').collect();
        let oui = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 6)?;
        let [_, a, b, c] = oui.to_be_bytes();
        let name: String =
            name.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARACTERS_MAX).collect();
        (!name.is_empty()).then_some(([a, b, c], name))
    };
    text.lines().filter_map(assignment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_and_nothing_else() {
        let list = b"OUI/MA-L\r\n00-1B-21   (hex)\t\tIntel Corporate\r\n001B21     (base 16)\t\tIntel Corporate\r\nGG-00-00 (hex) x\n00-1B (hex) y\n00-00-01 (hex) \x1b[2J\xff\n";
        let vendors = read(list);
        assert_eq!(vendors[&[0, 0x1b, 0x21]], "Intel Corporate");
        assert_eq!(vendors.len(), 2);
        assert!(vendors.values().all(|name| !name.contains('\u{1b}')));
        assert_eq!(vendor(MacAddress([2, 0, 0, 0, 0, 1])), None, "locally administered");
    }
}
