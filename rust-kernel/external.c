// SPDX-License-Identifier: GPL-2.0
/*
 * What external.rs says of C, compared with what is so. Compiles to nothing.
 */

#include <linux/build_bug.h>
#include <linux/fs.h>

static_assert(FMODE_NOWAIT == (__force fmode_t)(1 << 27));
static_assert(IOCB_NOWAIT == 8);
