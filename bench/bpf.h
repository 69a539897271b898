/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The BPF ring buffers, by raw system calls: from the kernel to a process, and from a process
 * to the kernel. A BPF program is the end in the kernel. It runs each time that a process
 * asks for it.
 *
 * For bytes, the other end spins. For records, it does what libbpf does.
 */
#ifndef BENCH_BPF_H
#define BENCH_BPF_H

#include <sys/syscall.h>
#include <linux/bpf.h>
#include <linux/btf.h>

#include "path.h"

static long sys_bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* The array has the contents of the records. */
static int bpf_map(enum bpf_map_type type, unsigned int size,
		   unsigned int flags)
{
	union bpf_attr attr = {
		.map_type = type,
		.max_entries = size,
		.map_flags = flags,
	};

	if (type == BPF_MAP_TYPE_ARRAY) {
		attr.key_size = 4;
		attr.value_size = size;
		attr.max_entries = 1;
	}
	return sys_bpf(BPF_MAP_CREATE, &attr);
}

#define INSN(c, d, s, o, i)						\
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), \
			    .off = (o), .imm = (i) })
#define MOVE(d, s)	INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i)	INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD(d, i)	INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define LOAD(d, s, i)	INSN(BPF_LD | BPF_DW | BPF_IMM, d, s, 0, i), \
			INSN(0, 0, 0, 0, 0)
#define FETCH(d, s, o)	INSN(BPF_LDX | BPF_MEM | BPF_DW, d, s, o, 0)
#define STORE(d, o, s)	INSN(BPF_STX | BPF_MEM | BPF_DW, d, s, o, 0)
#define ATOMIC_ADD(d, o, s) \
			INSN(BPF_STX | BPF_ATOMIC | BPF_DW, d, s, o, BPF_ADD)
#define UNLESS(d, i, o)	INSN(BPF_JMP | BPF_JNE | BPF_K, d, 0, o, i)
#define DIFFER(d, s, o)	INSN(BPF_JMP | BPF_JNE | BPF_X, d, s, o, 0)
#define BELOW(d, i, o)	INSN(BPF_JMP | BPF_JLT | BPF_K, d, 0, o, i)
#define IF(d, i, o)	INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, i)
#define CALL(f)		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/*
 * A function that does nothing that matters. It returns 0 on CPU 0, where instructions are
 * counted.
 */
#define NOTHING		BPF_FUNC_get_smp_processor_id

/* @functions: two of them, or NULL. They are described in @btf. */
static int bpf_load(const struct bpf_insn *insns, unsigned int n, int btf,
		    const struct bpf_func_info *functions)
{
	static char log[64 * KIB];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SYSCALL,
		.insns = (unsigned long)insns,
		.insn_cnt = n,
		.license = (unsigned long)"GPL",
		.prog_flags = BPF_F_SLEEPABLE,
	};
	int fd;

	if (functions) {
		attr.prog_btf_fd = btf;
		attr.func_info = (unsigned long)functions;
		attr.func_info_rec_size = sizeof(*functions);
		attr.func_info_cnt = 2;
	}
	fd = sys_bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0) {
		attr.log_level = 1;
		attr.log_buf = (unsigned long)log;
		attr.log_size = sizeof(log);
		fd = sys_bpf(BPF_PROG_LOAD, &attr);
		if (fd < 0)
			fprintf(stderr, "%s", log);
	}
	return fd;
}

/* Returns what the program returns. */
static inline int bpf_run(const struct path *p, int prog)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = prog;
	count->calls++;
	if (sys_bpf(BPF_PROG_TEST_RUN, &attr))
		fail(p, "BPF_PROG_TEST_RUN");
	return attr.test.retval;
}

/*
 * Whether a BPF program can be the consumer of a process: each record is passed to a
 * callback, which the interpreter does not have.
 */
static bool bpf_has_jit(void)
{
	int fd = open("/proc/sys/net/core/bpf_jit_enable", O_RDONLY | O_CLOEXEC);
	char on = '0';

	if (fd >= 0) {
		if (read(fd, &on, 1) != 1)
			err(1, "bpf_jit_enable");
		close(fd);
	}
	return on != '0';
}

/* Many records per run, so that the call itself matters little. */
static unsigned int bpf_batch(const struct path *p, size_t size)
{
	if (p->batch)
		return p->batch;
	return size < 16 * KIB / 64 ? 64 : 16 * KIB / size;
}

/* With @to_kernel, head and data belong to the process, otherwise tail does. */
static void bpf_mmap(struct path *p, bool to_kernel)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	const int rw = PROT_READ | PROT_WRITE;
	char *tail, *pages;

	tail = mmap(NULL, page, to_kernel ? PROT_READ : rw, MAP_SHARED,
		    p->in, 0);
	pages = mmap(NULL, page + 2 * p->capacity, to_kernel ? rw : PROT_READ,
		     MAP_SHARED, p->in, page);
	if (tail == MAP_FAILED || pages == MAP_FAILED)
		fail(p, "mmap");
	p->bpf.tail = (__u64 *)tail;
	p->bpf.head = (__u64 *)pages;
	p->bpf.data = pages + page;
}

static void bpf_wait_for(struct path *p, unsigned int events)
{
	struct epoll_event event = { .events = events };

	p->bpf.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->bpf.epoll < 0 ||
	    epoll_ctl(p->bpf.epoll, EPOLL_CTL_ADD, p->in, &event))
		fail(p, "epoll");
}

static void bpf_sleep(const struct path *p)
{
	struct epoll_event event;

	count->calls++;
	if (epoll_wait(p->bpf.epoll, &event, 1, -1) < 0)
		fail(p, "epoll_wait");
}

static inline size_t bpf_record_size(unsigned int header)
{
	header &= ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
	return (header + BPF_RINGBUF_HDR_SZ + 7) & ~7UL;
}

/* ---- bytes, from the kernel to a process that spins ---- */

/* Puts @batch records of @size bytes, and returns how many of them fitted. */
static int bpf_program(int ring, int array, unsigned int size, int batch)
{
	const struct bpf_insn insns[] = {
		SET(BPF_REG_6, 0),
		LOAD(BPF_REG_1, BPF_PSEUDO_MAP_FD, ring),
		LOAD(BPF_REG_2, BPF_PSEUDO_MAP_VALUE, array),
		SET(BPF_REG_3, size),
		/* The consumer spins, so it need not be woken. */
		SET(BPF_REG_4, BPF_RB_NO_WAKEUP),
		CALL(BPF_FUNC_ringbuf_output),
		UNLESS(BPF_REG_0, 0, 2),
		ADD(BPF_REG_6, 1),
		BELOW(BPF_REG_6, batch, -10),
		MOVE(BPF_REG_0, BPF_REG_6),
		EXIT,
	};

	return bpf_load(insns, ARRAY_SIZE(insns), 0, NULL);
}

static void open_bpf(struct path *p, unsigned int number, size_t size)
{
	int array = bpf_map(BPF_MAP_TYPE_ARRAY, size, 0);

	(void)number;
	p->in = bpf_map(BPF_MAP_TYPE_RINGBUF, p->capacity, 0);
	if (array < 0 || p->in < 0)
		fail(p, "BPF_MAP_CREATE");
	p->out = bpf_program(p->in, array, size, bpf_batch(p, size));
	if (p->out < 0)
		fail(p, "BPF_PROG_LOAD");
	close(array);
	p->bpf.prog = p->out;
	bpf_mmap(p, false);
}

/* Each run of the program puts a batch of records. */
static inline size_t put_bpf(struct path *p, const char *buf, size_t size)
{
	unsigned int records = bpf_run(p, p->bpf.prog);

	(void)buf;
	if (!records)
		sched_yield();
	return records * size;
}

static inline size_t get_bpf(struct path *p, char *buf, size_t size)
{
	__u64 tail = *p->bpf.tail;
	unsigned int spins = 0;
	const __u32 *record;

	while (__atomic_load_n(p->bpf.head, __ATOMIC_ACQUIRE) == tail)
		spin(&spins);
	record = (const __u32 *)(p->bpf.data + (tail & (p->capacity - 1)));
	while (__atomic_load_n(record, __ATOMIC_ACQUIRE) & BPF_RINGBUF_BUSY_BIT)
		spin(&spins);
	memcpy(buf, (const char *)record + BPF_RINGBUF_HDR_SZ, size);
	tail += (size + BPF_RINGBUF_HDR_SZ + 7) & ~7UL;
	__atomic_store_n(p->bpf.tail, tail, __ATOMIC_RELEASE);
	return size;
}

/* ---- records, from the kernel to a process ---- */

/*
 * Puts a batch of records of @size bytes, and returns how many of them fitted. The first and the
 * last 8 bytes of a record are its number. @function is BPF_FUNC_ringbuf_output, or NOTHING for
 * the same program without the records.
 */
static int bpf_producer(struct path *p, unsigned int size, int wake,
			int function)
{
	int array = bpf_map(BPF_MAP_TYPE_ARRAY, size, 0), prog;
	const struct bpf_insn insns[] = {
		SET(BPF_REG_6, 0),
		SET(BPF_REG_8, 1),
		LOAD(BPF_REG_7, BPF_PSEUDO_MAP_VALUE, array),
		LOAD(BPF_REG_1, BPF_PSEUDO_MAP_FD, p->in),
		MOVE(BPF_REG_2, BPF_REG_7),
		SET(BPF_REG_3, size),
		SET(BPF_REG_4, wake),
		CALL(function),
		UNLESS(BPF_REG_0, 0, 4),
		ATOMIC_ADD(BPF_REG_7, 0, BPF_REG_8),
		ATOMIC_ADD(BPF_REG_7, size - 8, BPF_REG_8),
		ADD(BPF_REG_6, 1),
		BELOW(BPF_REG_6, bpf_batch(p, size), -11),
		MOVE(BPF_REG_0, BPF_REG_6),
		EXIT,
	};

	if (array < 0)
		fail(p, "BPF_MAP_CREATE");
	prog = bpf_load(insns, ARRAY_SIZE(insns), 0, NULL);
	if (prog < 0)
		fail(p, "BPF_PROG_LOAD");
	close(array);
	return prog;
}

static void open_bpf_kind(struct path *p, size_t size, int wake)
{
	p->in = bpf_map(BPF_MAP_TYPE_RINGBUF, p->capacity, 0);
	if (p->in < 0)
		fail(p, "BPF_MAP_CREATE");
	p->bpf.prog = bpf_producer(p, size, wake, BPF_FUNC_ringbuf_output);
	p->bpf.nothing = bpf_producer(p, size, wake, NOTHING);
	p->out = p->bpf.prog;
	p->bpf.size = size;
	bpf_mmap(p, false);
}

/* The consumer never sleeps. */
static void open_bpf_spinning(struct path *p, unsigned int number, size_t size)
{
	(void)number;
	open_bpf_kind(p, size, BPF_RB_NO_WAKEUP);
}

/*
 * The consumer sleeps in epoll_wait(), and the kernel decides by itself when to wake it. If
 * instructions are counted, there is a batch, and nobody sleeps.
 */
static void open_bpf_records(struct path *p, unsigned int number, size_t size)
{
	(void)number;
	open_bpf_kind(p, size, p->batch ? BPF_RB_NO_WAKEUP : 0);
}

/*
 * As ring_buffer__consume() of libbpf: passes each record to a callback, gives its room back
 * at once, and looks for more until there are none. Returns the number of records.
 */
static __attribute__((noinline)) long bpf_consume(struct path *p)
{
	struct bpf *ring = &p->bpf;
	__u64 tail = __atomic_load_n(ring->tail, __ATOMIC_ACQUIRE), head;
	unsigned int *header, len;
	long records = 0;
	bool more;

	do {
		more = false;
		head = __atomic_load_n(ring->head, __ATOMIC_ACQUIRE);
		while (head != tail) {
			header = (unsigned int *)(ring->data +
						  (tail & (p->capacity - 1)));
			len = __atomic_load_n(header, __ATOMIC_ACQUIRE);
			if (len & BPF_RINGBUF_BUSY_BIT)
				return records;
			more = true;
			tail += bpf_record_size(len);
			if (!(len & BPF_RINGBUF_DISCARD_BIT)) {
				if (ring->sample(p, (char *)header +
						 BPF_RINGBUF_HDR_SZ, len) < 0)
					fail(p, "record");
				records++;
			}
			__atomic_store_n(ring->tail, tail, __ATOMIC_RELEASE);
		}
	} while (more);
	return records;
}

/* ---- records, from a process to the kernel ---- */

/* The type information that a program with a callback must have: two functions. */
static int bpf_btf(void)
{
	static const struct {
		struct btf_header head;
		__u32 types[4 + 3 + 3 + 3];
		char names[32];
	} btf = {
		.head = {
			.magic = BTF_MAGIC,
			.version = BTF_VERSION,
			.hdr_len = sizeof(btf.head),
			.type_len = sizeof(btf.types),
			.str_off = sizeof(btf.types),
			.str_len = sizeof(btf.names),
		},
		.types = {
			/* 1: int */
			1, BTF_KIND_INT << 24, 4, BTF_INT_SIGNED << 24 | 32,
			/* 2: a function that returns it */
			0, BTF_KIND_FUNC_PROTO << 24, 1,
			/* 3, 4: static functions of that type */
			5, BTF_KIND_FUNC << 24 | BTF_FUNC_STATIC, 2,
			9, BTF_KIND_FUNC << 24 | BTF_FUNC_STATIC, 2,
		},
		.names = "\0int\0run\0receive",
	};
	union bpf_attr attr = {
		.btf = (unsigned long)&btf,
		.btf_size = sizeof(btf),
	};

	return sys_bpf(BPF_BTF_LOAD, &attr);
}

/*
 * The array: the last record, the number that the next one must have, and whether one had
 * another number or could not be copied.
 */
#define RECEIVED_NEXT(size)	(size)
#define RECEIVED_BAD(size)	((size) + 8)
#define RECEIVED_SIZE(size)	((size) + 16)

/*
 * Copies all records that there are to the array, and returns how many there were. While
 * records are counted, the process looks at their numbers.
 */
static int bpf_consumer(struct path *p, int array, int btf, unsigned int size)
{
	const struct bpf_func_info functions[] = { { 0, 3 }, { 8, 4 } };
	const struct bpf_insn insns[] = {
		LOAD(BPF_REG_1, BPF_PSEUDO_MAP_FD, p->in),
		LOAD(BPF_REG_2, BPF_PSEUDO_FUNC, 5),
		SET(BPF_REG_3, 0),
		SET(BPF_REG_4, p->batch ? BPF_RB_NO_WAKEUP : 0),
		CALL(BPF_FUNC_user_ringbuf_drain),
		EXIT,

		/* The callback, at 8. R1 is the record. */
		MOVE(BPF_REG_3, BPF_REG_1),
		LOAD(BPF_REG_1, BPF_PSEUDO_MAP_VALUE, array),
		SET(BPF_REG_2, size),
		SET(BPF_REG_4, 0),
		SET(BPF_REG_5, 0),
		CALL(BPF_FUNC_dynptr_read),
		UNLESS(BPF_REG_0, 0, 12),
		/* Always, or never. The kernel drops what is not used. */
		IF(BPF_REG_0, p->batch ? 0 : 1, 9),
		LOAD(BPF_REG_1, BPF_PSEUDO_MAP_VALUE, array),
		FETCH(BPF_REG_2, BPF_REG_1, 0),
		FETCH(BPF_REG_3, BPF_REG_1, size - 8),
		FETCH(BPF_REG_4, BPF_REG_1, RECEIVED_NEXT(size)),
		DIFFER(BPF_REG_2, BPF_REG_4, 5),
		DIFFER(BPF_REG_3, BPF_REG_4, 4),
		ADD(BPF_REG_4, 1),
		STORE(BPF_REG_1, RECEIVED_NEXT(size), BPF_REG_4),
		SET(BPF_REG_0, 0),
		EXIT,
		/* This ends the run. */
		SET(BPF_REG_2, 1),
		LOAD(BPF_REG_1, BPF_PSEUDO_MAP_VALUE, array),
		STORE(BPF_REG_1, RECEIVED_BAD(size), BPF_REG_2),
		SET(BPF_REG_0, 1),
		EXIT,
	};

	return bpf_load(insns, ARRAY_SIZE(insns), btf, functions);
}

/* The same program without the records. It says that there was a batch. */
static int bpf_no_consumer(struct path *p)
{
	const struct bpf_insn insns[] = {
		LOAD(BPF_REG_1, BPF_PSEUDO_MAP_FD, p->in),
		LOAD(BPF_REG_2, 0, 1),
		SET(BPF_REG_3, 0),
		SET(BPF_REG_4, BPF_RB_NO_WAKEUP),
		CALL(NOTHING),
		SET(BPF_REG_0, bpf_batch(p, p->bpf.size)),
		EXIT,
	};

	return bpf_load(insns, ARRAY_SIZE(insns), 0, NULL);
}

static void open_bpf_user(struct path *p, unsigned int number, size_t size)
{
	int array = bpf_map(BPF_MAP_TYPE_ARRAY, RECEIVED_SIZE(size),
			    BPF_F_MMAPABLE);
	int btf = bpf_btf();

	(void)number;
	p->in = bpf_map(BPF_MAP_TYPE_USER_RINGBUF, p->capacity, 0);
	if (array < 0 || btf < 0 || p->in < 0)
		fail(p, "BPF_MAP_CREATE");
	p->bpf.size = size;
	p->bpf.prog = bpf_consumer(p, array, btf, size);
	p->bpf.nothing = bpf_no_consumer(p);
	if (p->bpf.prog < 0 || p->bpf.nothing < 0)
		fail(p, "BPF_PROG_LOAD");
	p->out = p->bpf.prog;
	p->bpf.received_size = RECEIVED_SIZE(size);
	p->bpf.received = mmap(NULL, p->bpf.received_size, PROT_READ,
			       MAP_SHARED, array, 0);
	if (p->bpf.received == MAP_FAILED)
		fail(p, "mmap");
	close(array);
	close(btf);
	bpf_mmap(p, true);
}

/* As user_ring_buffer__reserve() of libbpf. NULL: there is no room. */
static __attribute__((noinline)) void *bpf_reserve(struct path *p,
						   unsigned int size)
{
	struct bpf *ring = &p->bpf;
	__u64 tail = __atomic_load_n(ring->tail, __ATOMIC_ACQUIRE);
	__u64 head = __atomic_load_n(ring->head, __ATOMIC_ACQUIRE);
	size_t all = bpf_record_size(size);
	unsigned int *header;

	if (size & (BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT) ||
	    all > p->capacity || p->capacity - (head - tail) < all)
		return NULL;
	header = (unsigned int *)(ring->data + (head & (p->capacity - 1)));
	header[0] = size | BPF_RINGBUF_BUSY_BIT;
	header[1] = 0;
	__atomic_store_n(ring->head, head + all, __ATOMIC_RELEASE);
	return ring->data +
	       ((head + BPF_RINGBUF_HDR_SZ) & (p->capacity - 1));
}

/* As user_ring_buffer__submit(). */
static __attribute__((noinline)) void bpf_submit(struct path *p, void *record)
{
	struct bpf *ring = &p->bpf;
	size_t at = p->capacity + ((char *)record - ring->data) -
		    BPF_RINGBUF_HDR_SZ;
	unsigned int *header;

	header = (unsigned int *)(ring->data + (at & (p->capacity - 1)));
	__atomic_exchange_n(header, *header & ~BPF_RINGBUF_BUSY_BIT,
			    __ATOMIC_ACQ_REL);
}

/* Returns the number of records. */
static inline unsigned int bpf_drain(struct path *p)
{
	int records = bpf_run(p, p->bpf.prog);

	if (records < 0 || *(volatile __u64 *)(p->bpf.received +
					       RECEIVED_BAD(p->bpf.size)))
		errx(1, "%s: a record is missing or torn", p->way->name);
	return records;
}

#endif /* BENCH_BPF_H */
