/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * vfifo: a FIFO device. Each of its two ends is used by system calls, or by a
 * program that has mapped it. See Documentation/misc-devices/vfifo.rst.
 *
 * All layouts are the same for 32-bit and 64-bit callers.
 */
#ifndef _UAPI_LINUX_VFIFO_H
#define _UAPI_LINUX_VFIFO_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct vfifo_info - what can be mapped, and where
 * @size: in: size of the caller's structure in bytes, at least 8. Out: the
 *	number of these bytes that were filled; the others are left alone.
 * @version: 1
 * @capacity: size of the data in bytes: a power of two, at least a page
 * @data_offset: mmap() offset of the data. A mapping of 2 * @capacity bytes
 *	shows the data twice in a row.
 * @producer_offset: mmap() offset of the producer page
 * @consumer_offset: mmap() offset of the consumer page
 * @flags: the state of the FIFO at the time of the call: VFIFO_HANGUP and so on. A
 *	kernel that does not know it leaves it as it was: look at @size first.
 *
 * Fields may be added at the end. @size tells how many of them are exchanged,
 * so a program with a longer structure works on an older kernel, and the other
 * way round. A field is valid if it is within the @size that is returned. Set
 * the structure to zero before the call to give the other fields a defined value.
 */
struct vfifo_info {
	__u32 size;
	__u32 version;
	__aligned_u64 capacity;
	__aligned_u64 data_offset;
	__aligned_u64 producer_offset;
	__aligned_u64 consumer_offset;
	__aligned_u64 flags;
};

/* The attribute "hangup" is 1, or the device has been removed. */
#define VFIFO_HANGUP		1
/*
 * The attribute "framing" is "record": the data consists of struct vfifo_record and
 * payloads. The attribute "overwrite" is 1: the producer overwrites the oldest bytes.
 * Neither can change while anything is mapped, so map something before you ask.
 */
#define VFIFO_RECORDS		2
#define VFIFO_OVERWRITE		4
/* Calls fail with EIO, since an impossible position or header was stored. */
#define VFIFO_BROKEN		8
/*
 * There are no readers, or no writers, whether or not the attribute "hangup" is 1.
 * A file that is open for both counts as both, but while it holds a claim only as
 * what it has claimed. The file of the ioctl is counted as well. In mode "auto" the
 * device counts as a writer.
 */
#define VFIFO_NO_READERS	16
#define VFIFO_NO_WRITERS	32

/**
 * struct vfifo_end - the start of the producer page or the consumer page
 * @position: the number of bytes ever produced ("head") or consumed ("tail").
 *	The owner of this end stores it with release semantics, and the other
 *	end loads it with acquire semantics. Byte p of the stream is at offset
 *	p % capacity of the data.
 * @waiting: non-zero if this end sleeps or is about to: the other end must call
 *	VFIFO_NOTIFY when it has published something
 * @oldest: only in the producer page, and only with VFIFO_OVERWRITE: bytes before
 *	this position are gone. The producer stores it, with release semantics,
 *	before it overwrites a byte, and never moves it back.
 * @reserved: do not use. Keeps @waiting out of the cache line of @position.
 * @reserved2: do not use
 * @reserved3: do not use
 *
 * The rest of the page reads as zero. A writable mapping of the page is the
 * claim on that end. Only one process can have it (EBUSY). The claim ends when
 * the page is unmapped, which exec, exit and a fatal signal also do.
 */
struct vfifo_end {
	__aligned_u64 position;
	__u64 reserved[15];
	__u32 waiting;
	__u32 reserved2;
	__u64 reserved3[15];
	__aligned_u64 oldest;
};

/**
 * struct vfifo_record - what precedes the payload of a record
 * @len: length of the payload in bytes: 1 to the capacity minus 8
 * @flags: 0
 *
 * With VFIFO_RECORDS, records lie in the data one after the other, each at a
 * position that is a multiple of 8. The payload follows the structure. The next
 * record begins after it, at the next multiple of 8; the bytes in between are
 * undefined. The structure is stored and loaded as a single __u64, in the byte order
 * of the machine.
 *
 * Whoever can map the data can change a record at any time, so check what you
 * load. The kernel enters its error state (see VFIFO_BROKEN) for a @len of zero, a
 * record that ends after "head", @flags that are not zero, or a position that is not a
 * multiple of 8.
 */
struct vfifo_record {
	__u32 len;
	__u32 flags;
};

/*
 * Drop the queued bytes. EBADF if the file is not open for reading, EBUSY while
 * the consumer's end is claimed.
 */
#define VFIFO_CLEAR	_IO('k', 1)

/*
 * Set the mode to the int that the argument points to. 0 is "manual": only
 * writers produce. Anything else is "auto": the device also produces "AUTO "
 * once a period. EBADF if the file is not open for writing, EFAULT if the int cannot
 * be read, EBUSY if the mode would change to "auto" while the producer's end is
 * claimed, ENODEV if it would after the device has been removed. Setting the current
 * mode does nothing and succeeds.
 */
#define VFIFO_SET_MODE	_IOW('k', 2, int)

/*
 * Find out what can be mapped. EINVAL if the size field is less than 8.
 *
 * The kernel recognizes the request by its type, number and direction. The size
 * encoded in the request changes when the structure grows. It must be at least
 * 8 (else ENOTTY), and is not used otherwise: only the size field counts.
 */
#define VFIFO_GET_INFO	_IOWR('k', 3, struct vfifo_info)

/*
 * Wake the other end. The owner of an end calls this when it has published
 * something and then finds "waiting" of the other end set.
 *
 * This acts only for a claimed end: it wakes consumers if the producer's end is
 * claimed, producers if the consumer's end is claimed, and only if there is
 * something new for them. Otherwise it does nothing and succeeds.
 */
#define VFIFO_NOTIFY	_IO('k', 4)

#endif /* _UAPI_LINUX_VFIFO_H */
