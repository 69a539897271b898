// SPDX-License-Identifier: GPL-2.0
/*
 * Defines the tracepoints that trace.rs calls, and checks that the numbers in
 * uapi.rs are those of the C header.
 *
 * Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
 */

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <uapi/linux/vfifo.h>

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include <trace/events/vfifo.h>

static_assert(_IO('k', 1) == VFIFO_CLEAR);
static_assert(_IOW('k', 2, int) == VFIFO_SET_MODE);
static_assert(_IOC(_IOC_READ | _IOC_WRITE, 'k', 3, 48) == VFIFO_GET_INFO);
static_assert(_IO('k', 4) == VFIFO_NOTIFY);
static_assert(sizeof(struct vfifo_info) == 48);
static_assert(offsetof(struct vfifo_info, version) == 4);
static_assert(offsetof(struct vfifo_info, capacity) == 8);
static_assert(offsetof(struct vfifo_info, data_offset) == 16);
static_assert(offsetof(struct vfifo_info, producer_offset) == 24);
static_assert(offsetof(struct vfifo_info, consumer_offset) == 32);
static_assert(offsetof(struct vfifo_info, flags) == 40);
static_assert(VFIFO_HANGUP == 1);
static_assert(VFIFO_RECORDS == 2);
static_assert(VFIFO_OVERWRITE == 4);
static_assert(VFIFO_BROKEN == 8);
static_assert(VFIFO_NO_READERS == 16);
static_assert(VFIFO_NO_WRITERS == 32);
static_assert(offsetof(struct vfifo_end, position) == 0);
static_assert(offsetof(struct vfifo_end, waiting) == 128);
static_assert(offsetof(struct vfifo_end, oldest) == 256);
static_assert(sizeof(struct vfifo_record) == 8);
static_assert(offsetof(struct vfifo_record, flags) == 4);
