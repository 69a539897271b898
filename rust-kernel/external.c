// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
/*
 * The C side of external.rs: checks of its constants, and the helpers that a
 * patched kernel has in rust/helpers/.
 */

#include <linux/build_bug.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <uapi/linux/eventpoll.h>

static_assert(EPOLLIN == (__force __poll_t)0x0001);
static_assert(EPOLLOUT == (__force __poll_t)0x0004);
static_assert(EPOLLERR == (__force __poll_t)0x0008);
static_assert(EPOLLHUP == (__force __poll_t)0x0010);
static_assert(EPOLLRDNORM == (__force __poll_t)0x0040);
static_assert(EPOLLWRNORM == (__force __poll_t)0x0100);
static_assert(EPOLLEXCLUSIVE == (__force __poll_t)(1U << 28));
static_assert(FMODE_NOWAIT == (__force fmode_t)(1 << 27));
static_assert(IOCB_NOWAIT == 8);
static_assert(IOCB_NOSIGNAL == 0x100);

__diag_push();
__diag_ignore_all("-Wmissing-prototypes", "declared in external.rs");
__diag_ignore_all("-Wmissing-declarations", "declared in external.rs");

void rust_helper_dev_set_uevent_suppress(struct device *dev, int val)
{
	dev_set_uevent_suppress(dev, val);
}

int rust_helper_fatal_signal_pending(struct task_struct *p)
{
	return fatal_signal_pending(p);
}

__diag_pop();
