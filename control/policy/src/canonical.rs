//! A short way to read what [`crate::Policy::to_toml`] wrote: the same keys in the same order on lines of their own. Whatever looks
//! otherwise is left to the TOML parser, which takes ten times as long.

use crate::file::{RuleFile, VlanFile};

/// Hands over the rules of a canonical text one by one; `None` if it isn't one, or `each` wants no more. Some may have been handed over.
pub(crate) fn read(text: &str, each: impl FnMut(RuleFile) -> Option<()>) -> Option<()> {
    let head = walk(text, each)?;
    (head.trim_end() == "format = 1").then_some(())
}

/// Takes the canonical rules at the end of a text apart from what is before them; `None` if its rules aren't canonical, or not at the
/// end.
pub(crate) fn split(text: &str) -> Option<(&str, Vec<RuleFile>)> {
    let mut rules = Vec::with_capacity(text.len() / 256);
    let head = walk(text, |rule| {
        rules.push(rule);
        Some(())
    })?;
    Some((head, rules))
}

/// What is before the canonical rules at the end of a text.
pub(crate) fn walk(text: &str, mut each: impl FnMut(RuleFile) -> Option<()>) -> Option<&str> {
    const HEADER: &str = "[[rule]]";
    let Some(at) = text.find("\n[[rule]]\n") else {
        return (!text.contains(HEADER)).then_some(text);
    };
    let (head, rest) = text.split_at(at + 1);
    let mut lines = rest.split('\n');
    while let Some(line) = lines.next() {
        if line != HEADER {
            return None;
        }
        // What follows is the next rule, or nothing: the last line break was the rule's empty line.
        each(read_rule(&mut lines)?)?;
    }
    Some(head)
}

fn read_rule<'t>(lines: &mut impl Iterator<Item = &'t str>) -> Option<RuleFile> {
    let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(" = ");
    let id = value("id")?.parse().ok()?;
    let segment = text(value("segment")?)?;
    let vlan = value("vlan")?;
    let vlan = match vlan.parse() {
        Ok(id) => VlanFile::Id(id),
        Err(_) => VlanFile::Text(text(vlan)?),
    };
    let mut rule = RuleFile {
        id: Some(id),
        segment: Some(segment),
        vlan: Some(vlan),
        client: Some(text(value("client")?)?),
        client_side: Some(text(value("client_side")?)?),
        server: Some(text(value("server")?)?),
        service: Some(text(value("service")?)?),
        opens: Some(text(value("opens")?)?),
        midstream: Some(value("midstream")?.parse().ok()?),
        reason: Some(text(value("reason")?)?),
        owner: None,
    };
    match lines.next()? {
        "" => {}
        line => {
            rule.owner = Some(text(line.strip_prefix("owner = ")?)?);
            if !lines.next()?.is_empty() {
                return None;
            }
        }
    }
    Some(rule)
}

/// A basic string with no escapes but those that the writer makes.
fn text(value: &str) -> Option<String> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if inner.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return None;
    }
    if !inner.contains(['\\', '"']) {
        return Some(inner.to_owned());
    }
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next()? {
                escaped @ ('\\' | '"') => text.push(escaped),
                _ => return None,
            },
            '"' => return None,
            other => text.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::split;
    use crate::file::RuleFile;

    fn read(text: &str) -> Option<Vec<RuleFile>> {
        let mut rules = Vec::new();
        super::read(text, |rule| {
            rules.push(rule);
            Some(())
        })?;
        Some(rules)
    }

    const RULE: &str = "format = 1\n\n[[rule]]\nid = 7\nsegment = \"fab\"\nvlan = 10\nclient = \"10.0.0.1\"\nclient_side = \"a\"\n\
        server = \"10.0.0.2\"\nservice = \"tcp/1\"\nopens = \"client\"\nmidstream = false\nreason = \"a \\\"b\\\" \\\\c\"\n";

    #[test]
    fn the_writers_form_is_read_and_no_other() {
        let rules = read(RULE).expect("canonical");
        assert_eq!(rules[0].reason.as_deref(), Some("a \"b\" \\c"));
        let owned = format!("{RULE}owner = \"anna\"\n");
        assert_eq!(read(&owned).expect("canonical")[0].owner.as_deref(), Some("anna"));
        let two = format!("{RULE}{}", &RULE["format = 1\n".len()..]);
        assert_eq!(read(&two).map(|rules| rules.len()), Some(2));
        assert_eq!(read("format = 1\n").map(|rules| rules.len()), Some(0));
        let behind = RULE.replacen(
            "format = 1\n",
            "format = 1\nlearned = \"listed\"\n[[zone]]\nname = \"z\"\n",
            1,
        );
        let (head, rules) = split(&behind).expect("canonical behind");
        assert!(head.ends_with("\"z\"\n\n") && rules.len() == 1 && read(&behind).is_none());
        for other in [
            RULE.replace("id = 7", "id = seven"),
            RULE.replace("\\\"b\\\"", "\\u0041"),
            RULE.replace("reason", "# why\nreason"),
            format!("{RULE}more = 1\n"),
            format!("{RULE}\n"),
            RULE.trim_end().to_owned(),
        ] {
            assert!(read(&other).is_none(), "{other}");
        }
    }
}
