// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! `NAME=VALUE` arguments: the options of `add` and the attributes of `set`.

use crate::names;
use crate::units;

/// A setting of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name of the attribute or option.
    pub name: String,
    /// The value, as the kernel takes it.
    pub value: String,
}

impl Setting {
    /// From `NAME=VALUE`. A capacity may have a unit, which the kernel does not know.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(format!(
                "{text:?} contains white space; give each NAME=VALUE as an argument of its own"
            ));
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => (name, value),
            _ => return Err(format!("{text:?} does not have the form NAME=VALUE")),
        };
        let unit = value.starts_with(|c: char| c.is_ascii_digit())
            && value.ends_with(|c: char| "KMGB".contains(c.to_ascii_uppercase()))
            && !value.starts_with("0x");
        let value = match name {
            "capacity" if unit => units::parse_size(value)?.to_string(),
            _ => value.to_string(),
        };
        Ok(Self {
            name: name.to_string(),
            value,
        })
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}={}", self.name, self.value)
    }
}

/// The attributes that some version of the driver lets root write, and the values that they take.
const VALUES: [(&str, &str); 6] = [
    ("capacity", "a number of bytes from 1 to 1G"),
    ("framing", "stream or record"),
    ("hangup", "0 or 1"),
    ("mode", "0 (manual) or 1 (auto)"),
    ("overwrite", "0 or 1"),
    ("period_ms", "a number from 1 to 3600000"),
];

/// What the option `perm` of `add` takes.
const PERM: &str = "an octal number from 1 to 0777";

/// The names of these attributes.
pub fn attributes() -> impl Iterator<Item = &'static str> {
    VALUES.iter().map(|&(name, _)| name)
}

/// The values that an attribute or option takes.
pub fn values(name: &str) -> Option<&'static str> {
    let values = VALUES.iter().find(|(known, _)| *known == name);
    values
        .map(|&(_, values)| values)
        .or((name == "perm").then_some(PERM))
}

/// What is wrong with the value of a setting, if this program knows. None for a setting that it
/// does not know.
pub fn wrong_value(setting: &Setting) -> Option<String> {
    let Setting { name, value } = setting;
    let number = kernel_number(value);
    let within = |least, most| number.is_some_and(|number| (least..=most).contains(&number));
    let good = match name.as_str() {
        "capacity" => within(1, 1 << 30),
        "framing" => ["stream", "record"].contains(&value.as_str()),
        "hangup" | "overwrite" => ["0", "1"].contains(&value.as_str()),
        "mode" => ["0", "1", "manual", "auto"].contains(&value.as_str()),
        "period_ms" => within(1, 3_600_000),
        "perm" => u32::from_str_radix(value, 8).is_ok_and(|mode| (1..=0o777).contains(&mode)),
        _ => true,
    };
    (!good).then(|| {
        format!(
            "{name} takes {}, not {value:?}",
            values(name).unwrap_or_default()
        )
    })
}

/// What is wrong with the options of `add`, for a driver that has these attributes.
pub fn wrong_option(options: &[Setting], writable: &[String]) -> Option<String> {
    for (index, option) in options.iter().enumerate() {
        let name = option.name.as_str();
        if options[..index].iter().any(|before| before.name == name) {
            return Some(format!("the option {name} is given twice"));
        }
        if name != "perm" && !writable.iter().any(|known| known == name) {
            let known = writable.iter().map(String::as_str).chain(["perm"]);
            let hint = match values(name) {
                Some(_) => "; a newer driver has it".into(),
                None => match names::suggestion(name, known.clone()) {
                    none if none.is_empty() => format!(
                        "; the options are: {}",
                        known.collect::<Vec<_>>().join(", ")
                    ),
                    hint => hint,
                },
            };
            return Some(format!("the driver has no option {name}{hint}"));
        }
        if let Some(wrong) = wrong_value(option) {
            return Some(wrong);
        }
    }
    None
}

/// A number as the kernel reads it: decimal, octal with the prefix 0, or hexadecimal with 0x.
fn kernel_number(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x") {
        u64::from_str_radix(digits, 16).ok()
    } else if text.len() > 1 && text.starts_with('0') {
        u64::from_str_radix(text, 8).ok()
    } else {
        text.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(text: &str) -> Setting {
        Setting::parse(text).unwrap()
    }

    #[test]
    fn forms() {
        assert_eq!(setting("hangup=1").to_string(), "hangup=1");
        assert_eq!(setting("capacity=1M").to_string(), "capacity=1048576");
        assert_eq!(setting("capacity=0x10000").to_string(), "capacity=0x10000");
        assert_eq!(setting("x=1M").to_string(), "x=1M");
        assert_eq!(setting("x==").to_string(), "x==");
        for wrong in [
            "hangup",
            "=1",
            "hangup=",
            "",
            "a=1 b=2",
            "a=1\nb",
            "capacity=1.5M",
        ] {
            assert!(Setting::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn good_values() {
        for good in [
            "capacity=1",
            "capacity=0x1000",
            "capacity=010",
            "framing=record",
            "hangup=0",
            "mode=auto",
            "overwrite=1",
            "period_ms=3600000",
            "perm=0777",
            "perm=660",
            "unknown=anything",
        ] {
            assert_eq!(wrong_value(&setting(good)), None, "{good}");
        }
    }

    #[test]
    fn wrong_values() {
        for (wrong, text) in [
            ("capacity=0", "from 1 to 1G"),
            ("capacity=2G", "from 1 to 1G"),
            ("framing=packet", "stream or record"),
            ("hangup=yes", "0 or 1, not \"yes\""),
            ("mode=2", "0 (manual) or 1 (auto)"),
            ("period_ms=0", "from 1 to 3600000"),
            ("perm=8", "octal"),
            ("perm=1000", "octal"),
            ("perm=0", "octal"),
        ] {
            let found = wrong_value(&setting(wrong)).unwrap();
            assert!(found.contains(text), "{wrong}: {found}");
        }
    }

    #[test]
    fn options_of_a_driver() {
        let writable = ["capacity", "hangup", "mode", "period_ms"].map(str::to_string);
        let wrong = |options: &[&str]| {
            let options: Vec<_> = options.iter().map(|text| setting(text)).collect();
            wrong_option(&options, &writable)
        };
        assert_eq!(wrong(&[]), None);
        assert_eq!(wrong(&["perm=0660", "hangup=1"]), None);
        assert_eq!(
            wrong(&["hangup=1", "hangup=1"]).unwrap(),
            "the option hangup is given twice"
        );
        assert_eq!(
            wrong(&["hangpu=1"]).unwrap(),
            "the driver has no option hangpu; did you mean hangup?"
        );
        assert_eq!(
            wrong(&["colour=red"]).unwrap(),
            "the driver has no option colour; the options are: capacity, hangup, mode, period_ms, perm"
        );
        assert_eq!(
            wrong(&["framing=record"]).unwrap(),
            "the driver has no option framing; a newer driver has it"
        );
        assert!(wrong(&["hangup=2"]).unwrap().contains("0 or 1"));
    }
}
