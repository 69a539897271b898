// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Tests of the names of devices, and of what uses them.

use super::super::registry::{
    Name,
    Names,
    Vacancy, //
};
use kernel::prelude::*;

/// The length of the longest name.
const MAX_LEN: usize = 31;

/// A name that is allowed.
fn name(text: &str) -> Result<Name> {
    Name::parse(text.as_bytes())
}

/// Begins to add a device.
fn reserve(names: &mut Names<u32>, name: &Name) -> Result {
    let vacancy = Vacancy::new(*name, GFP_KERNEL)?;
    names.reserve(name, vacancy).map_err(|(error, _)| error)
}

#[kunit_tests(rust_vfifo_names)]
mod name_tests {
    use super::*;

    #[test]
    fn allowed() -> Result {
        for text in [
            "a",
            "Z",
            "video",
            "a.b-c_d",
            "x0",
            "x.",
            "vfifo",
            "vfifox",
            "vfifo1x",
            "vfifo-1",
            "Vfifo1",
            "new_devices",
            "abcdefghijklmnopqrstuvwxyz01234",
        ] {
            let name = Name::parse_new(text.as_bytes())?;
            assert_eq!(name.as_bytes(), text.as_bytes());
            assert!(!name.is_numbered());
        }
        Ok(())
    }

    #[test]
    fn refused() {
        for text in [
            "",
            ".",
            "..",
            "-a",
            "_a",
            "0",
            "0a",
            "a/b",
            "a!b",
            "a b",
            "a\n",
            "a\0",
            "a:b",
            "caf\u{e9}",
            "new_device",
            "delete_device",
            "abcdefghijklmnopqrstuvwxyz012345",
        ] {
            assert_eq!(Name::parse(text.as_bytes()).err(), Some(EINVAL));
            assert_eq!(Name::parse_new(text.as_bytes()).err(), Some(EINVAL));
        }
    }

    #[test]
    fn length() {
        let text = [b'a'; MAX_LEN + 1];
        assert_eq!(Name::parse(&text).err(), Some(EINVAL));
        for len in 1..=MAX_LEN {
            let text = text.get(..len).unwrap_or_default();
            assert!(Name::parse(text).is_ok_and(|name| name.as_bytes() == text));
        }
    }

    #[test]
    fn numbered() -> Result {
        for (number, text) in [
            (0, "vfifo0"),
            (9, "vfifo9"),
            (10, "vfifo10"),
            (255, "vfifo255"),
            (1000, "vfifo1000"),
            (u32::MAX, "vfifo4294967295"),
        ] {
            assert_eq!(Name::numbered(number).as_bytes(), text.as_bytes());
            assert!(Name::numbered(number) == name(text)?);
        }
        for text in ["vfifo0", "vfifo00", "vfifo255", "vfifo99999999999999999999"] {
            assert!(name(text)?.is_numbered());
            assert_eq!(Name::parse_new(text.as_bytes()).err(), Some(EINVAL));
        }
        Ok(())
    }

    #[test]
    fn life_of_a_name() -> Result {
        let mut names = Names::new();
        let (a, b) = (name("a")?, name("b")?);

        // Being added.
        reserve(&mut names, &a)?;
        assert_eq!(reserve(&mut names, &a), Err(EEXIST));
        assert_eq!(names.begin_removal(&a), Err(ENOENT));
        assert_eq!(names.get(&a), None);

        // There.
        assert_eq!(names.complete(&a, 1), Ok(()));
        assert_eq!(names.get(&a), Some(&1));
        assert_eq!(reserve(&mut names, &a), Err(EEXIST));
        reserve(&mut names, &b)?;
        assert_eq!(names.complete(&b, 2), Ok(()));

        // Being removed.
        assert_eq!(names.begin_removal(&a), Ok(1));
        assert_eq!(names.begin_removal(&a), Err(ENOENT));
        assert_eq!(names.get(&a), None);
        assert_eq!(reserve(&mut names, &a), Err(EEXIST));
        assert_eq!(names.get(&b), Some(&2));

        // Free.
        assert!(names.release(&a).is_some());
        assert!(names.release(&a).is_none());
        assert_eq!(names.begin_removal(&a), Err(ENOENT));
        reserve(&mut names, &a)?;
        assert_eq!(names.complete(&a, 3), Ok(()));
        Ok(())
    }

    #[test]
    fn failure_frees_the_name() -> Result {
        let mut names = Names::<u32>::new();
        let a = name("a")?;
        reserve(&mut names, &a)?;
        assert!(names.release(&a).is_some());
        assert_eq!(names.complete(&a, 1), Err(1));
        reserve(&mut names, &a)
    }
}
