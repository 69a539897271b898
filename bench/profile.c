// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU's translator that counts how often each instruction runs
 * in "bench profile". bench.py adds the counts up by function:
 *
 *	qemu-system-x86_64 -plugin profile.so,counts=COUNTS ...
 *
 * The program marks the beginning and the end with an instruction that does
 * nothing. The first run writes COUNTS.0, the next one COUNTS.1: a line for each
 * address, with the address in hexadecimal and the count.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile.h"

/* The part of version 1 of the interface that is used; Debian has no package of the header. */

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t qemu_plugin_id_t;
typedef void (*translated_fn)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*executed_fn)(unsigned int vcpu, void *data);

enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

#define EXPORT __attribute__((visibility("default")))

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   translated_fn fn);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
						enum qemu_plugin_op op,
						void *to, uint64_t by);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    executed_fn fn,
					    enum qemu_plugin_cb_flags flags,
					    void *data);

EXPORT int qemu_plugin_version = 1;

/* A hash table of addresses, large enough for everything that a boot runs. */
#define SLOTS	(1U << 22)

struct slot {
	uint64_t address, count;
};

static struct slot *slots;
static unsigned int used;
static const char *file;

static uint64_t *counter(uint64_t address)
{
	unsigned int i = address * 0x9e3779b97f4a7c15ULL >> 42;

	while (slots[i].address && slots[i].address != address)
		i = (i + 1) % SLOTS;
	if (!slots[i].address) {
		if (++used > SLOTS / 2) {
			fputs("profile: too many instructions\n", stderr);
			exit(1);
		}
		slots[i].address = address;
	}
	return &slots[i].count;
}

static void begin(unsigned int vcpu, void *data)
{
	unsigned int i;

	(void)vcpu, (void)data;
	for (i = 0; i < SLOTS; i++)
		slots[i].count = 0;
}

static void end(unsigned int vcpu, void *data)
{
	static unsigned int run;
	char name[PATH_MAX];
	unsigned int i;
	FILE *out;

	(void)vcpu, (void)data;
	snprintf(name, sizeof(name), "%s.%u", file, run++);
	out = fopen(name, "w");
	for (i = 0; out && i < SLOTS; i++)
		if (slots[i].count)
			fprintf(out, "%" PRIx64 " %" PRIu64 "\n",
				slots[i].address, slots[i].count);
	if (!out || fclose(out)) {
		perror(name);
		exit(1);
	}
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	static const unsigned char marks[2][PROFILE_MARK_SIZE] = {
		{ PROFILE_MARK(0) }, { PROFILE_MARK(1) },
	};
	struct qemu_plugin_insn *insn;
	const void *data;
	size_t i;

	(void)id;
	for (i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		data = qemu_plugin_insn_data(insn);
		qemu_plugin_register_vcpu_insn_exec_inline(insn,
				QEMU_PLUGIN_INLINE_ADD_U64,
				counter(qemu_plugin_insn_vaddr(insn)), 1);
		if (qemu_plugin_insn_size(insn) != PROFILE_MARK_SIZE)
			continue;
		if (!memcmp(data, marks[0], PROFILE_MARK_SIZE))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, begin,
					QEMU_PLUGIN_CB_NO_REGS, NULL);
		if (!memcmp(data, marks[1], PROFILE_MARK_SIZE))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end,
					QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
			       char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "counts=", 7)) {
		fputs("profile: wants counts=COUNTS\n", stderr);
		return -1;
	}
	file = strdup(argv[0] + 7);
	slots = calloc(SLOTS, sizeof(*slots));
	if (!file || !slots)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
