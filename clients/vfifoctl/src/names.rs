// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! Names of devices, and names that are similar to a mistyped one.

use std::cmp::Ordering;

/// The name of the device that an argument means: a name, or the path of a node.
pub fn device_name(argument: &str) -> &str {
    argument
        .strip_prefix("/dev/vfifo/")
        .or_else(|| argument.strip_prefix("/dev/"))
        .unwrap_or(argument)
}

/// Why no device can be added with that name.
pub fn forbidden(name: &str) -> Option<String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.is_empty() {
        Some("a name cannot be empty".into())
    } else if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        Some(format!("the name {name:?} does not begin with a letter"))
    } else if let Some(wrong) = name.chars().find(|&c| !letters(c)) {
        Some(format!(
            "the name {name:?} contains {wrong:?}; only letters, digits, \"_\", \"-\" and \".\" are allowed"
        ))
    } else if name.len() > 31 {
        Some(format!(
            "the name has {} characters; 31 are allowed",
            name.len()
        ))
    } else if name == "new_device" || name == "delete_device" {
        Some(format!("{name} is the name of a file in /sys/class/vfifo"))
    } else if made_at_load(name) {
        Some(format!(
            "{name} can only be made when the module is loaded (parameter devices=); choose another name"
        ))
    } else {
        None
    }
}

fn made_at_load(name: &str) -> bool {
    name.strip_prefix("vfifo")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// The names that look most like `wanted`, at most three.
pub fn similar<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let folded = wanted.to_lowercase();
    let most = 1 + folded.chars().count() / 4;
    let mut found: Vec<_> = names
        .into_iter()
        .map(|name| (distance(&folded, &name.to_lowercase()), name))
        .filter(|&(distance, name)| {
            distance <= most || (folded.len() >= 3 && name.to_lowercase().starts_with(&folded))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| compare(a.1, b.1)));
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The end of an error message, with the names that are similar: `; did you mean a, b or c?`
pub fn suggestion<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    match similar(wanted, names).as_slice() {
        [] => String::new(),
        [one] => format!("; did you mean {one}?"),
        [first @ .., last] => format!("; did you mean {} or {last}?", first.join(", ")),
    }
}

/// How many characters have to be inserted, removed, replaced or swapped with the next one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replace.min(row[j - 1] + 1).min(rows[i - 1][j] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// The order in which people expect names: `vfifo2` before `vfifo10`.
pub fn compare(a: &str, b: &str) -> Ordering {
    let split = |name: &str| {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        (name[..stem].to_string(), name[stem..].parse::<u64>().ok())
    };
    split(a).cmp(&split(b)).then_with(|| a.cmp(b))
}

/// Text from another process, without characters that would control the terminal.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_names_too() {
        assert_eq!(device_name("video"), "video");
        assert_eq!(device_name("/dev/vfifo/video"), "video");
        assert_eq!(device_name("/dev/vfifo0"), "vfifo0");
    }

    #[test]
    fn allowed_names() {
        for name in ["a", "video", "A-b_c.9", "vfifo", "vfifox1", "vfifo1x"] {
            assert_eq!(forbidden(name), None, "{name}");
        }
        assert_eq!(forbidden(&"a".repeat(31)), None);
    }

    #[test]
    fn forbidden_names() {
        for (name, reason) in [
            ("", "empty"),
            ("1a", "does not begin with a letter"),
            ("_a", "does not begin with a letter"),
            ("a b", "contains ' '"),
            ("a/b", "contains '/'"),
            ("vfifo7", "when the module is loaded"),
            ("new_device", "is the name of a file"),
        ] {
            let text = forbidden(name).unwrap();
            assert!(text.contains(reason), "{name}: {text}");
        }
        assert!(forbidden(&"a".repeat(32))
            .unwrap()
            .contains("32 characters"));
    }

    #[test]
    fn near_names() {
        let names = ["vfifo0", "vfifo1", "video", "audio"];
        assert_eq!(similar("vdieo", names), ["video"]);
        assert_eq!(similar("Video", names), ["video"]);
        assert_eq!(similar("vfifo2", names), ["vfifo0", "vfifo1"]);
        assert_eq!(similar("vid", names), ["video"]);
        assert!(similar("something", names).is_empty());
        assert_eq!(suggestion("vdieo", names), "; did you mean video?");
        assert_eq!(
            suggestion("vfifo", names),
            "; did you mean vfifo0 or vfifo1?"
        );
        assert_eq!(suggestion("x", names), "");
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("abcd", "abdc"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn order() {
        let mut names = vec!["vfifo10", "video", "vfifo2", "a", "vfifo"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["a", "vfifo", "vfifo2", "vfifo10", "video"]);
    }

    #[test]
    fn control_characters_are_not_printed() {
        assert_eq!(printable("a\x1b[31m\nb"), "a?[31m?b");
    }
}
