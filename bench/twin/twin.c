// SPDX-License-Identifier: GPL-2.0
/*
 * vfifo's reads and writes as they would be in C: a character device on top of a
 * kfifo, which the benchmark compares vfifo with. Like a pipe and vfifo, it writes
 * up to PIPE_BUF bytes at once or not at all, serializes readers and, separately,
 * writers, and makes wake-ups only if somebody sleeps.
 *
 * There are three kinds of devices. /dev/twinN copies with the functions of kfifo,
 * and has only read and write. /dev/iterN has read_iter and write_iter like vfifo,
 * so that readv(2), splice(2) and io_uring work as well; kfifo has no functions for
 * that. /dev/bytewiseN copies a byte at a time, as many a first driver does.
 */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/kfifo.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/wait.h>

static unsigned int devices = 2;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "Number of devices of each kind");

static unsigned int buffer_size = 65536;
module_param(buffer_size, uint, 0444);
MODULE_PARM_DESC(buffer_size, "Capacity of each in bytes, a power of two");

struct twin {
	DECLARE_KFIFO_PTR(fifo, unsigned char);
	struct mutex reader;
	struct mutex writer;
	wait_queue_head_t readers;
	wait_queue_head_t writers;
};

/* In the order of the minor numbers. */
static const char * const kinds[] = { "twin", "iter", "bytewise" };

#define ALL	(devices * ARRAY_SIZE(kinds))

static struct twin *twins;
static struct class *twin_class;
static struct cdev twin_cdev;
static dev_t twin_first;

/* Whether to wake a sleeping writer: not for a few bytes, as with a pipe. */
static bool twin_writable(struct twin *twin)
{
	return kfifo_avail(&twin->fifo) >= PIPE_BUF;
}

/* Moves queued bytes, up to @len, with the reader's lock held. */
typedef int (*take_fn)(struct twin *twin, void *to, size_t len,
		       unsigned int *copied);

static int twin_take(struct twin *twin, void *to, size_t len,
		     unsigned int *copied)
{
	return kfifo_to_user(&twin->fifo, (void __user __force *)to, len,
			     copied);
}

static int iter_take(struct twin *twin, void *to, size_t len,
		     unsigned int *copied)
{
	struct __kfifo *fifo = &twin->fifo.kfifo;
	unsigned int offset, part, n;

	do {
		offset = fifo->out & fifo->mask;
		part = min3(len - *copied, (size_t)(fifo->in - fifo->out),
			    (size_t)(fifo->mask + 1 - offset));
		n = copy_to_iter(fifo->data + offset, part, to);
		/* As in kfifo: the bytes are copied before the room is freed. */
		smp_wmb();
		fifo->out += n;
		*copied += n;
		if (n < part)
			return -EFAULT;
	} while (*copied < len && fifo->in != fifo->out);
	return 0;
}

static int bytewise_take(struct twin *twin, void *to, size_t len,
			 unsigned int *copied)
{
	char __user *buf = (void __user __force *)to;
	unsigned char byte;

	for (*copied = 0; *copied < len; ++*copied) {
		if (!kfifo_peek(&twin->fifo, &byte))
			break;
		if (put_user(byte, buf + *copied))
			return -EFAULT;
		kfifo_skip(&twin->fifo);
	}
	return 0;
}

/*
 * Moves as many bytes as fit, up to @len, with the writer's lock held. @done bytes
 * of @from have been moved before.
 */
typedef int (*give_fn)(struct twin *twin, void *from, size_t done, size_t len,
		       unsigned int *copied);

static int twin_give(struct twin *twin, void *from, size_t done, size_t len,
		     unsigned int *copied)
{
	return kfifo_from_user(&twin->fifo, (void __user __force *)from + done,
			       len, copied);
}

/* The iterator keeps its own position, so @done is not used. */
static int iter_give(struct twin *twin, void *from, size_t done, size_t len,
		     unsigned int *copied)
{
	struct __kfifo *fifo = &twin->fifo.kfifo;
	unsigned int offset, part, n;

	do {
		offset = fifo->in & fifo->mask;
		part = min3(len - *copied, (size_t)kfifo_avail(&twin->fifo),
			    (size_t)(fifo->mask + 1 - offset));
		n = copy_from_iter(fifo->data + offset, part, from);
		/* As in kfifo: the bytes are stored before they are published. */
		smp_wmb();
		fifo->in += n;
		*copied += n;
		if (n < part)
			return -EFAULT;
	} while (*copied < len && !kfifo_is_full(&twin->fifo));
	return 0;
}

static int bytewise_give(struct twin *twin, void *from, size_t done, size_t len,
			 unsigned int *copied)
{
	const char __user *buf = (void __user __force *)from + done;
	unsigned char byte;

	for (*copied = 0; *copied < len; ++*copied) {
		if (kfifo_is_full(&twin->fifo))
			break;
		if (get_user(byte, buf + *copied))
			return -EFAULT;
		kfifo_put(&twin->fifo, byte);
	}
	return 0;
}

static __always_inline ssize_t read_by(take_fn take, struct file *file,
				       void *to, size_t len, bool nowait)
{
	struct twin *twin = file->private_data;
	unsigned int copied = 0;
	bool slept = false;
	int err;

	if (!len)
		return 0;
	for (;;) {
		mutex_lock(&twin->reader);
		if (!kfifo_is_empty(&twin->fifo))
			break;
		mutex_unlock(&twin->reader);
		if (nowait || file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_interruptible_exclusive(twin->readers,
					!kfifo_is_empty(&twin->fifo));
		if (err)
			return err;
		slept = true;
	}
	err = take(twin, to, len, &copied);
	mutex_unlock(&twin->reader);
	if (copied && twin_writable(twin) && wq_has_sleeper(&twin->writers))
		wake_up_interruptible_sync(&twin->writers);
	/* A reader that was woken and leaves bytes wakes the next one. */
	if (slept && !kfifo_is_empty(&twin->fifo))
		wake_up_interruptible_sync(&twin->readers);
	return copied ?: err;
}

static __always_inline ssize_t write_by(give_fn give, struct file *file,
					void *from, size_t len, bool nowait)
{
	unsigned int copied, needed = len <= PIPE_BUF ? len : 1;
	struct twin *twin = file->private_data;
	bool slept = false;
	size_t done = 0;
	int err = 0;

	while (done < len) {
		mutex_lock(&twin->writer);
		if (kfifo_avail(&twin->fifo) < needed) {
			mutex_unlock(&twin->writer);
			err = -EAGAIN;
			if (nowait || file->f_flags & O_NONBLOCK)
				break;
			err = wait_event_interruptible_exclusive(twin->writers,
							twin_writable(twin));
			if (err)
				break;
			slept = true;
			continue;
		}
		copied = 0;
		err = give(twin, from, done, len - done, &copied);
		mutex_unlock(&twin->writer);
		done += copied;
		if (copied && wq_has_sleeper(&twin->readers))
			wake_up_interruptible_sync(&twin->readers);
		if (err)
			break;
	}
	if (slept && twin_writable(twin))
		wake_up_interruptible_sync(&twin->writers);
	return done ?: err;
}

static ssize_t twin_read(struct file *file, char __user *buf, size_t len,
			 loff_t *pos)
{
	return read_by(twin_take, file, (void __force *)buf, len, false);
}

static ssize_t twin_write(struct file *file, const char __user *buf, size_t len,
			  loff_t *pos)
{
	return write_by(twin_give, file, (void __force *)buf, len, false);
}

static ssize_t iter_read(struct kiocb *kiocb, struct iov_iter *to)
{
	return read_by(iter_take, kiocb->ki_filp, to, iov_iter_count(to),
		       kiocb->ki_flags & IOCB_NOWAIT);
}

static ssize_t iter_write(struct kiocb *kiocb, struct iov_iter *from)
{
	return write_by(iter_give, kiocb->ki_filp, from, iov_iter_count(from),
			kiocb->ki_flags & IOCB_NOWAIT);
}

static ssize_t bytewise_read(struct file *file, char __user *buf, size_t len,
			     loff_t *pos)
{
	return read_by(bytewise_take, file, (void __force *)buf, len, false);
}

static ssize_t bytewise_write(struct file *file, const char __user *buf,
			      size_t len, loff_t *pos)
{
	return write_by(bytewise_give, file, (void __force *)buf, len, false);
}

static int twin_open(struct inode *inode, struct file *file);

static const struct file_operations fops[] = {
	{
		.owner = THIS_MODULE,
		.open = twin_open,
		.read = twin_read,
		.write = twin_write,
	},
	{
		.owner = THIS_MODULE,
		.open = twin_open,
		.read_iter = iter_read,
		.write_iter = iter_write,
		.splice_read = copy_splice_read,
		.splice_write = iter_file_splice_write,
	},
	{
		.owner = THIS_MODULE,
		.open = twin_open,
		.read = bytewise_read,
		.write = bytewise_write,
	},
};

static int twin_open(struct inode *inode, struct file *file)
{
	const struct file_operations *its = &fops[iminor(inode) / devices];

	file->private_data = &twins[iminor(inode)];
	if (its != &fops[0])
		replace_fops(file, fops_get(its));
	if (its->read_iter)
		file->f_mode |= FMODE_NOWAIT;
	return stream_open(inode, file);
}

static void twin_free(unsigned int made)
{
	unsigned int i;

	for (i = 0; i < made; i++) {
		device_destroy(twin_class, twin_first + i);
		kfifo_free(&twins[i].fifo);
	}
	class_destroy(twin_class);
	unregister_chrdev_region(twin_first, ALL);
	kfree(twins);
}

static int twin_make(unsigned int i)
{
	struct twin *twin = &twins[i];
	struct device *device;
	int err;

	mutex_init(&twin->reader);
	mutex_init(&twin->writer);
	init_waitqueue_head(&twin->readers);
	init_waitqueue_head(&twin->writers);
	err = kfifo_alloc(&twin->fifo, buffer_size, GFP_KERNEL);
	if (err)
		return err;
	device = device_create(twin_class, NULL, twin_first + i, NULL, "%s%u",
			       kinds[i / devices], i % devices);
	if (IS_ERR(device))
		kfifo_free(&twin->fifo);
	return PTR_ERR_OR_ZERO(device);
}

static int __init twin_init(void)
{
	unsigned int made;
	int err;

	if (!devices || devices > 128)
		return -EINVAL;
	twins = kcalloc(ALL, sizeof(*twins), GFP_KERNEL);
	if (!twins)
		return -ENOMEM;
	err = alloc_chrdev_region(&twin_first, 0, ALL, "twin");
	if (err) {
		kfree(twins);
		return err;
	}
	twin_class = class_create("twin");
	if (IS_ERR(twin_class)) {
		unregister_chrdev_region(twin_first, ALL);
		kfree(twins);
		return PTR_ERR(twin_class);
	}
	for (made = 0; made < ALL; made++) {
		err = twin_make(made);
		if (err)
			goto undo;
	}
	cdev_init(&twin_cdev, &fops[0]);
	err = cdev_add(&twin_cdev, twin_first, ALL);
	if (err)
		goto undo;
	return 0;
undo:
	twin_free(made);
	return err;
}
module_init(twin_init);

static void __exit twin_exit(void)
{
	cdev_del(&twin_cdev);
	twin_free(ALL);
}
module_exit(twin_exit);

MODULE_DESCRIPTION("A C twin of vfifo, to compare with");
MODULE_LICENSE("GPL");
