// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers

//! Numbers as people write and read them: sizes, percentages, times.

use std::time::Duration;

/// A number of bytes, which may end in K, M or G (1024, 1024², 1024³ bytes), also as KiB or KB.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a number of bytes; examples: 4096, 64K, 1M, 1G");
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let factor: u64 = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

/// A time: seconds, or a number with ms, s, m or h. Not more than a year.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time; examples: 5, 0.5, 200ms, 2m, 1h");
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len()),
    );
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let seconds = digits.parse::<f64>().map_err(|_| wrong())? * factor;
    if seconds > 366.0 * 24.0 * 3600.0 {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// A number of bytes in at most five characters: `1000`, `64K`, `1.5M`.
pub fn bytes(number: u64) -> String {
    if number < 1024 {
        return number.to_string();
    }
    let mut value = number as f64;
    for unit in ["K", "M", "G", "T", "P"] {
        value /= 1024.0;
        let tenths = (value * 10.0).round() / 10.0;
        if tenths < 10.0 && tenths.fract() != 0.0 {
            return format!("{tenths:.1}{unit}");
        }
        if value.round() < 1024.0 {
            return format!("{:.0}{unit}", value.round());
        }
    }
    format!("{:.0}E", value / 1024.0)
}

/// A rate in events a second, in at most five characters.
pub fn count(rate: f64) -> String {
    match rate {
        rate if rate > 0.0 && rate < 9.95 => {
            let text = format!("{rate:.1}");
            text.strip_suffix(".0").unwrap_or(&text).to_string()
        }
        rate if rate < 99_999.5 => format!("{rate:.0}"),
        rate if rate < 999_500.0 => format!("{:.0}k", rate / 1e3),
        rate => format!("{:.0}M", rate / 1e6),
    }
}

/// How full, in percent. 0 means empty and 100 means full, without rounding.
pub fn percent(queued: u64, capacity: u64) -> u64 {
    if capacity == 0 || queued == 0 {
        0
    } else if queued >= capacity {
        100
    } else {
        let exact = u128::from(queued) * 100 / u128::from(capacity);
        u64::try_from(exact).unwrap_or(99).clamp(1, 99)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("0"), Ok(0));
        assert_eq!(parse_size("64K"), Ok(65536));
        assert_eq!(parse_size("1MiB"), Ok(1 << 20));
        assert_eq!(parse_size("2g"), Ok(2 << 30));
        for wrong in ["", "K", "-1", "1.5M", "1X", "18446744073709551615K", "0x10"] {
            assert!(
                parse_size(wrong).unwrap_err().contains("examples"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn times() {
        assert_eq!(parse_time("5"), Ok(Duration::from_secs(5)));
        assert_eq!(parse_time("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(parse_time("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_time("0"), Ok(Duration::ZERO));
        for wrong in ["", "s", "-1", "1d", "1e9", "1..2", "99999h", "inf"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_short() {
        for (number, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1K"),
            (1536, "1.5K"),
            (65536, "64K"),
            (65535, "64K"),
            (1048575, "1M"),
            (1 << 20, "1M"),
            (10 << 30, "10G"),
            (u64::MAX, "16E"),
        ] {
            assert_eq!(bytes(number), text);
        }
        for shift in 0..64 {
            assert!(bytes(u64::MAX >> shift).len() <= 5);
        }
    }

    #[test]
    fn rates_are_short() {
        for (rate, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (6.0, "6"),
            (9.96, "10"),
            (1234.0, "1234"),
            (99_999.9, "100k"),
            (2.5e6, "2M"),
        ] {
            assert_eq!(count(rate), text);
        }
    }

    #[test]
    fn percentages_do_not_round_to_the_ends() {
        assert_eq!(percent(0, 4096), 0);
        assert_eq!(percent(1, 1 << 30), 1);
        assert_eq!(percent(2048, 4096), 50);
        assert_eq!(percent(4095, 4096), 99);
        assert_eq!(percent(4096, 4096), 100);
        assert_eq!(percent(9999, 4096), 100);
        assert_eq!(percent(u64::MAX - 1, u64::MAX), 99);
        assert_eq!(percent(1, 0), 0);
    }
}
