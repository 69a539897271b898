/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sequences of random operations, and their text form, which can be passed to "-r".
 */
#ifndef FUZZ_SEQUENCE_H
#define FUZZ_SEQUENCE_H

#include "fuzz_calls.h"
#include "fuzz_mappings.h"

static bool op_fork(const struct op *op);

static const struct {
	const char *name;
	bool (*run)(const struct op *op);
	int weight;
} kinds[] = {
	{ "open", op_open, 14 },
	{ "close", op_close, 4 },
	{ "dup", op_dup, 3 },
	{ "read", op_read, 10 },
	{ "write", op_write, 12 },
	{ "vector", op_vector, 6 },
	{ "seek", op_seek, 1 },
	{ "ioctl", op_ioctl, 8 },
	{ "mmap", op_mmap, 14 },
	{ "munmap", op_munmap, 5 },
	{ "mremap", op_mremap, 4 },
	{ "mprotect", op_mprotect, 4 },
	{ "madvise", op_madvise, 4 },
	{ "touch", op_touch, 6 },
	{ "publish", op_publish, 8 },
	{ "capacity", op_capacity, 5 },
	{ "mode", op_mode, 4 },
	{ "poll", op_poll, 6 },
	{ "splice", op_splice, 6 },
	{ "fcntl", op_fcntl, 4 },
	{ "show", op_show, 3 },
	{ "fork", op_fork, 3 },
	{ "kill", op_kill, 3 },
};

enum { OPEN = 0, SEEK = 6, MMAP = 8, MUNMAP = 9, FORK = 21 };

/* A random kind, by weight. */
static int choose(__u64 *random)
{
	unsigned int sum = 0, i, at;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		sum += kinds[i].weight;
	at = pick(random, sum);
	for (i = 0; at >= (unsigned int)kinds[i].weight; i++)
		at -= kinds[i].weight;
	return i;
}

static void generate(struct sequence *s, __u64 random)
{
	int i;

	s->n = 4 + pick(&random, MAX_OPS - 3);
	for (i = 0; i < s->n; i++) {
		/* Begin with two open files. */
		s->op[i].kind = i < 2 ? OPEN : choose(&random);
		s->op[i].a = pick(&random, 24);
		s->op[i].b = pick(&random, 840);
		s->op[i].c = rnd(&random);
		if (i < 2) {
			s->op[i].b = 2;
			s->op[i].c = 0;
		}
	}
}

/* A child with the same files and most mappings, which runs a sequence in a loop. */
static bool op_fork(const struct op *op)
{
	struct sequence s;
	int slot = op->a % KIDS, i, round;
	pid_t pid;

	if (depth)
		return true;
	op_kill(op);
	pid = fork();
	if (pid < 0)
		return answer("fork", -errno, EAGAIN, 0);
	if (pid) {
		kids[slot] = pid;
		return true;
	}
	depth = 1;
	memset(kids, 0, sizeof(kids));
	for (i = 0; i < MAPS; i++)
		if (maps[i].claim)
			maps[i].p = NULL;
	alarms();
	generate(&s, op->c);
	for (round = 0; round < 20; round++)
		for (i = 0; i < s.n; i++)
			if (!kinds[s.op[i].kind].run(&s.op[i]))
				_exit(1);
	for (;;)
		pause();
}

/* The sequence as text, until the next call. */
static char *print(const struct sequence *s)
{
	static char text[MAX_OPS * 48];
	int i, len = 0;

	text[0] = '\0';
	for (i = 0; i < s->n; i++)
		len += snprintf(text + len, sizeof(text) - len,
				"%s%s:%u,%u,%u", i ? " " : "",
				kinds[s->op[i].kind].name, s->op[i].a,
				s->op[i].b, s->op[i].c);
	return text;
}

/* Reads such a text; false if it is not one. */
static bool parse(struct sequence *s, const char *text)
{
	char name[16];
	unsigned int i;
	int used;

	for (s->n = 0; s->n < MAX_OPS; s->n++) {
		struct op *op = &s->op[s->n];

		if (sscanf(text, " %15[a-z]:%u,%u,%u%n", name, &op->a, &op->b,
			   &op->c, &used) != 4)
			break;
		for (i = 0; i < ARRAY_SIZE(kinds); i++)
			if (!strcmp(name, kinds[i].name))
				break;
		if (i == ARRAY_SIZE(kinds))
			return false;
		op->kind = i;
		text += used;
	}
	return s->n && !text[strspn(text, "\n ")];
}

#endif /* FUZZ_SEQUENCE_H */
