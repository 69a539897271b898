/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Operations of the fuzzer on mappings of the device.
 */
#ifndef FUZZ_MAPPINGS_H
#define FUZZ_MAPPINGS_H

#include <setjmp.h>

#include "fuzz_process.h"

static bool op_mmap(const struct op *op)
{
	static const int prots[] = {
		PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
		PROT_WRITE, PROT_NONE, PROT_READ | PROT_EXEC, PROT_EXEC,
	};
	static const int flags[] = {
		MAP_SHARED, MAP_SHARED, MAP_SHARED, MAP_SHARED | MAP_POPULATE,
		MAP_SHARED_VALIDATE, MAP_PRIVATE, MAP_SHARED | MAP_LOCKED,
		MAP_SHARED | MAP_NORESERVE, MAP_SHARED_VALIDATE | 0x80000,
	};
	struct map *map = &maps[op->a % MAPS];
	__u64 random = op->c, offset;
	size_t len = page;
	void *p;

	/* An old mapping is unmapped, or kept until the process ends. */
	if (map->p && pick(&random, 4))
		munmap(map->p, map->len);
	map->p = NULL;
	switch (pick(&random, 8)) {
	case 0:
	case 1:
		offset = info.producer_offset;
		break;
	case 2:
	case 3:
		offset = info.consumer_offset;
		break;
	case 4:
		offset = rnd(&random) >> pick(&random, 64);
		break;
	case 5:
		offset = page * pick(&random, 600);
		len = page * (1 + pick(&random, 600));
		break;
	case 6:
		offset = page * pick(&random, 64) +
			 (pick(&random, 2) ? info.producer_offset :
					     info.consumer_offset);
		len = page * pick(&random, 4);
		break;
	default:
		offset = 0;
		len = 2 * info.capacity >> pick(&random, 3);
	}
	map->prot = prots[pick(&random, ARRAY_SIZE(prots))];
	p = mmap(NULL, len, map->prot,
		 flags[pick(&random, ARRAY_SIZE(flags))],
		 fds[op->b % FDS], offset);
	if (p == MAP_FAILED)
		return answer("mmap", -errno, EINVAL, EACCES, EBUSY, EBADF,
			      EPERM, EOVERFLOW, EOPNOTSUPP, ENOMEM, 0);
	if (map->prot & PROT_EXEC)
		return fail("mmap: executable");
	map->p = p;
	map->len = len;
	map->claim = map->prot & PROT_WRITE &&
		     (offset == info.producer_offset ||
		      offset == info.consumer_offset);
	map->whole = true;
	return true;
}

static bool op_munmap(const struct op *op)
{
	struct map *map = &maps[op->a % MAPS];
	size_t pages = map->len / page, from, n;
	__u64 random = op->c;

	if (!map->p)
		return true;
	if (op->b % 3 && pages > 1) {
		/* A part of it. */
		from = pick(&random, pages);
		n = 1 + pick(&random, pages - from);
		map->whole = false;
		return answer("munmap", res(munmap(map->p + from * page,
						   n * page)), ENOMEM, 0);
	}
	munmap(map->p, map->len);
	map->p = NULL;
	return true;
}

static bool op_mremap(const struct op *op)
{
	static const int flags[] = {
		0, MREMAP_MAYMOVE, MREMAP_MAYMOVE, MREMAP_MAYMOVE | 4,
		MREMAP_MAYMOVE | MREMAP_FIXED, 8,
	};
	struct map *map = &maps[op->a % MAPS];
	__u64 random = op->c;
	size_t old, new;
	char *p;

	if (!map->p)
		return true;
	old = pick(&random, 4) ? map->len : (size_t)page * pick(&random, 4);
	/* What follows may be the program's own memory, which must not be unmapped. */
	if (old > map->len)
		old = map->len;
	new = pick(&random, 3) ? old : (size_t)page * pick(&random, 600);
	p = mremap(map->p, old, new, flags[op->b % ARRAY_SIZE(flags)],
		   (char *)(1UL << 40) + page * pick(&random, 10000));
	if (p == MAP_FAILED)
		return answer("mremap", -errno, EINVAL, EFAULT, ENOMEM, 0);
	if (map->claim && map->whole && p != map->p)
		return fail("mremap: a claim has moved");
	/* Parts of it may be in two places now; the end of the process unmaps them. */
	if (p != map->p || new != map->len)
		map->whole = false;
	map->p = p;
	map->len = new;
	return true;
}

static bool op_mprotect(const struct op *op)
{
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_WRITE,
		PROT_READ | PROT_EXEC, PROT_EXEC,
	};
	struct map *map = &maps[op->a % MAPS];
	int prot = prots[op->b % ARRAY_SIZE(prots)];
	size_t pages = map->len / page, from = 0, n = pages;
	__u64 random = op->c;
	long ret;

	if (!map->p)
		return true;
	if (op->c & 1 && pages) {
		from = pick(&random, pages);
		n = pick(&random, pages - from + 1);
	}
	ret = res(mprotect(map->p + from * page, n * page, prot));
	if (!ret && n && map->whole && prot & PROT_EXEC)
		return fail("mprotect: executable");
	if (!ret && n == pages)
		map->prot = prot;
	else
		map->whole = false;
	return answer("mprotect", ret, EACCES, ENOMEM, EINVAL, 0);
}

static bool op_madvise(const struct op *op)
{
	/* Not those that simulate memory errors. */
	static const int advices[] = {
		MADV_NORMAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE,
		MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK, MADV_MERGEABLE,
		MADV_HUGEPAGE, MADV_DODUMP, MADV_WIPEONFORK, 20, 21, 22, 23,
		24, 25,
	};
	struct map *map = &maps[op->a % MAPS];
	int advice = advices[op->b % ARRAY_SIZE(advices)];
	unsigned char vec[1024];

	if (!map->p)
		return true;
	switch (op->c % 8) {
	case 0:
		return answer("msync", res(msync(map->p, map->len, op->b % 8)),
			      EINVAL, ENOMEM, EBUSY, EIO, 0);
	case 1:
		return answer("mlock", res(mlock(map->p, map->len)), ENOMEM,
			      EAGAIN, EPERM, 0);
	case 2:
		return answer("munlock", res(munlock(map->p, map->len)), ENOMEM,
			      0);
	case 3:
		if (map->len / page > sizeof(vec))
			return true;
		return answer("mincore", res(mincore(map->p, map->len, vec)),
			      ENOMEM, EINVAL, 0);
	default:
		/* A child will not inherit it. */
		if (advice == MADV_DONTFORK)
			map->whole = false;
		return answer("madvise", res(madvise(map->p, map->len, advice)),
			      EINVAL, EACCES, EBADF, ENOMEM, EFAULT, EPERM,
			      EOPNOTSUPP, ENODEV, EBUSY, EIO, 0);
	}
}

static sigjmp_buf back;
static sig_atomic_t guarded, fault;

static void on_fault(int sig)
{
	if (!guarded) {
		signal(sig, SIG_DFL);
		return;
	}
	fault = sig;
	siglongjmp(back, 1);
}

/* The signal that a load or store causes: 0, SIGSEGV or SIGBUS. */
static int touch(char *p, bool stores, char value)
{
	__atomic_store_n(&fault, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&guarded, 1, __ATOMIC_SEQ_CST);
	if (!sigsetjmp(back, 1)) {
		if (stores)
			__atomic_store_n(p, value, __ATOMIC_SEQ_CST);
		else
			(void)__atomic_load_n(p, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&guarded, 0, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&fault, __ATOMIC_SEQ_CST);
}

static bool op_touch(const struct op *op)
{
	struct map *map = &maps[op->a % MAPS];
	bool stores = op->b & 1, may;
	__u64 random = op->c;
	int sig;

	if (!map->p || !map->len)
		return true;
	sig = touch(map->p + pick(&random, map->len), stores,
		    rnd(&random));
	may = map->prot & (stores ? PROT_WRITE : PROT_READ | PROT_WRITE);
	if (sig == SIGBUS)
		return fail("touch: a bus error");
	if (sig && map->whole && may)
		return fail("touch: a mapped page is not accessible");
	if (!sig && map->whole && stores && !may)
		return fail("touch: a read-only page was written");
	return true;
}

/* Stores arbitrary values into the page of a claimed end. */
static bool op_publish(const struct op *op)
{
	struct map *map = &maps[op->a % MAPS];
	struct vfifo_end *end = (void *)map->p;
	__u64 random = op->c;

	if (!map->p || !map->claim || !map->whole ||
	    (map->prot & (PROT_READ | PROT_WRITE)) !=
	    (PROT_READ | PROT_WRITE))
		return true;
	switch (op->b % 5) {
	case 0:
		end->position = rnd(&random) >> pick(&random, 64);
		break;
	case 1:
		end->waiting = rnd(&random);
		break;
	case 2:
		end->position -= pick(&random, 3);
		break;
	default:
		end->position += pick(&random, 5000);
	}
	return true;
}

#endif /* FUZZ_MAPPINGS_H */
