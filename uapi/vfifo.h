/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * vfifo: a FIFO device whose two ends can each be a system call or a mapping.
 *
 * Every layout here is the same for 32-bit and 64-bit callers.
 */
#ifndef _UAPI_LINUX_VFIFO_H
#define _UAPI_LINUX_VFIFO_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct vfifo_info - what can be mapped, and where
 * @size: in: the size of the caller's structure, in bytes, at least 8. Out: how
 *	many of these bytes were filled. The others are left alone.
 * @version: 1
 * @capacity: size of the data, in bytes: a power of two, at least a page
 * @data_offset: mmap() offset of the data. A mapping of 2 * @capacity bytes
 *	shows it twice in a row.
 * @producer_offset: mmap() offset of the producer page
 * @consumer_offset: mmap() offset of the consumer page
 *
 * Fields may be added at the end. @size decides how many of them are exchanged, so
 * a program with a longer structure works on an older kernel, and the other way
 * round. A field is valid if it is within the @size that comes back; set the
 * structure to zero before the call to have a defined value for those that are not.
 */
struct vfifo_info {
	__u32 size;
	__u32 version;
	__aligned_u64 capacity;
	__aligned_u64 data_offset;
	__aligned_u64 producer_offset;
	__aligned_u64 consumer_offset;
};

/**
 * struct vfifo_end - what is at the start of a producer or consumer page
 * @position: the number of bytes ever produced ("head") or consumed ("tail").
 *	Stored with release by the owner of this end, loaded with acquire by
 *	the other. Byte p of the stream is at offset p % capacity of the data.
 * @waiting: non-zero: this end sleeps, or is about to, and who publishes
 *	something is to call VFIFO_NOTIFY
 * @reserved: padding; leave it alone. It keeps @waiting out of the cache line of
 *	@position.
 * @reserved2: leave it alone
 *
 * The rest of the page reads as zero. A writable mapping of the page is the
 * claim on that end: there is one at a time (EBUSY), and it ends when it is
 * unmapped, which exec, exit and a fatal signal do too.
 */
struct vfifo_end {
	__aligned_u64 position;
	__u64 reserved[15];
	__u32 waiting;
	__u32 reserved2;
};

/*
 * Forget the queued bytes. The file must be open for reading, else EBADF. EBUSY
 * while the consumer's end is claimed.
 */
#define VFIFO_CLEAR	_IO('k', 1)

/*
 * Choose who produces: the int at the argument is 0 for "manual" (nobody but
 * writers), non-zero for "auto" (the device also writes "AUTO " once a period).
 * The file must be open for writing, else EBADF; EFAULT if the int can't be
 * read; EBUSY if that would change it to "auto" while the producer's end is
 * claimed. To choose what is chosen already does nothing, and succeeds.
 */
#define VFIFO_SET_MODE	_IOW('k', 2, int)

/*
 * Ask what can be mapped. EINVAL if the size field is less than 8.
 *
 * The request is recognized by its type, number and direction. Its size, which is
 * part of the number and changes when the structure grows, may be anything from 8
 * on (else ENOTTY): only the size field counts.
 */
#define VFIFO_GET_INFO	_IOWR('k', 3, struct vfifo_info)

/*
 * Tell the other end. To be called by the owner of an end who has published
 * something, and found the other end's "waiting" set.
 *
 * It acts only for a claimed end: a claimed producer's end tells consumers, a
 * claimed consumer's end tells producers, and only if there is something new for
 * them. Otherwise it does nothing, and succeeds.
 */
#define VFIFO_NOTIFY	_IO('k', 4)

#endif /* _UAPI_LINUX_VFIFO_H */
