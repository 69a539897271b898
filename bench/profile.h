/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The instruction that says where what is to be counted begins (0) and ends (1):
 * nopl with a displacement that nobody else uses.
 */
#define PROFILE_MARK_SIZE	8
#define PROFILE_MARK(end)	0x0f, 0x1f, 0x84, 0x00, 0x56, 0x46, 0x46, (end)
