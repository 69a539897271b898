// SPDX-License-Identifier: GPL-2.0 OR MIT
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.

//! Devices with framing `record`, or whose producers overwrite.

use super::*;
use vfifo::{overwriting, RecordConsumer, RecordProducer};

/// An end of another kind is refused, and gives its claim back.
#[test]
fn each_type_is_for_one_kind() {
    for (framing, overwrite, number) in [
        ("stream", "0", 0),
        ("record", "0", 1),
        ("stream", "1", 2),
        ("record", "1", 3),
    ] {
        let Some(kind) = kind(framing, overwrite) else {
            return;
        };
        let path = &kind.device.path;
        let results = [
            Producer::open(path).err(),
            RecordProducer::open(path).err(),
            overwriting::Producer::open(path).err(),
            overwriting::RecordProducer::open(path).err(),
            Consumer::open(path).err(),
            RecordConsumer::open(path).err(),
            overwriting::Consumer::open(path).err(),
            overwriting::RecordConsumer::open(path).err(),
        ];
        for (tried, error) in results.into_iter().enumerate() {
            match error {
                None => assert_eq!(tried % 4, number),
                Some(error) => {
                    assert_ne!(tried % 4, number, "{error}");
                    assert!(matches!(error, Error::Kind(_)), "{error}");
                    assert!(error.to_string().contains(": use vfifo::"), "{error}");
                }
            }
        }
    }
}

#[test]
fn the_kind_stays_while_an_end_is_owned() {
    let Some(kind) = kind("record", "0") else {
        return;
    };
    let consumer = RecordConsumer::open(&kind.device.path).unwrap();
    for (name, value) in [("framing", "stream"), ("overwrite", "1")] {
        let busy = kind.device.set(name, value).unwrap_err();
        assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy, "{name}");
    }
    drop(consumer);
}
