// SPDX-License-Identifier: GPL-2.0
/*
 * A mapped end with several processes, or the generator, at the other end.
 */
#include "vfifo_mapped.h"

TEST_F(mapped, generated_bytes_for_a_mapped_consumer)
{
	static const char word[] = "AUTO ";
	struct vfifo_consumer c;
	const char *from;
	size_t len, done = 0, i;

	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->fd));
	ASSERT_EQ(0, attr_set("period_ms", 1));
	ASSERT_EQ(0, attr_store("mode", "1"));
	while (done < 500) {
		ASSERT_EQ(0, wait_bytes(&c, 5));
		from = vfifo_consumer_peek(&c, &len);
		len -= len % 5;
		for (i = 0; i < len; i++)
			ASSERT_EQ(word[i % 5], from[i]);
		ASSERT_EQ(0, vfifo_consumer_release(&c, len));
		done += len;
	}
	EXPECT_EQ(0, attr_store("mode", "0"));
	vfifo_consumer_close(&c);
}

#define CROWD		3
#define MESSAGES	6000

struct message {
	__u32 number;
	__u32 check;
	__u32 more[2];
};

/* Checks and counts messages: each must arrive whole, and once. */
static int tally(const void *from, size_t len, __u8 *seen)
{
	struct message message;
	size_t i;

	if (len % sizeof(message))
		return -EBADMSG;
	for (i = 0; i < len; i += sizeof(message)) {
		memcpy(&message, (const char *)from + i, sizeof(message));
		if (message.number >= MESSAGES ||
		    message.check != (__u32)mix64(message.number))
			return -EBADMSG;
		__atomic_fetch_add(&seen[message.number], 1, __ATOMIC_RELAXED);
	}
	return 0;
}

static bool each_once(const __u8 *seen)
{
	int i;

	for (i = 0; i < MESSAGES; i++)
		if (seen[i] != 1)
			return false;
	return true;
}

TEST_F(mapped, several_readers_of_a_mapped_producer)
{
	__u8 *seen = shared(MESSAGES);
	struct message *to, message = {};
	struct message buf[50];
	struct vfifo_producer p;
	pid_t pids[CROWD];
	__u64 random = vfifo_seed;
	__u32 n, i;
	int err = 0;
	ssize_t len;

	LOG_SEED();
	ASSERT_NE(NULL, seen);
	ASSERT_EQ(0, attr_set("capacity", self->page));
	for (i = 0; i < CROWD; i++) {
		pids[i] = child_start(2 * DEADLINE);
		if (pids[i])
			continue;
		while (!err) {
			n = 1 + rnd(&random) % ARRAY_SIZE(buf);
			len = read(self->fd, buf, n * sizeof(message));
			if (len <= 0)
				_exit(1);
			/* The last message for each reader says so. */
			if (!buf[len / sizeof(message) - 1].more[1])
				err = tally(buf, len, seen);
			else
				_exit(len != sizeof(message));
		}
		EXPECT_EQ(0, err);
		_exit(2);
	}
	ASSERT_EQ(0, vfifo_producer_open_fd(&p, self->dev.fd));
	while (message.number < MESSAGES) {
		n = 1 + rnd(&random) % 20;
		ASSERT_EQ(0, wait_room(&p, n * sizeof(message)));
		to = vfifo_producer_reserve(&p, n * sizeof(message));
		for (i = 0; i < n && message.number < MESSAGES; i++) {
			message.check = mix64(message.number);
			to[i] = message;
			message.number++;
		}
		ASSERT_EQ(0, vfifo_producer_commit(&p, i * sizeof(message)));
	}
	ASSERT_TRUE(eventually(!queued(self->dev.fd)));
	/* One at a time, so that each reader gets one. */
	for (i = 0; i < CROWD; i++) {
		ASSERT_EQ(0, wait_room(&p, sizeof(message)));
		to = vfifo_producer_reserve(&p, sizeof(message));
		to->more[1] = 1;
		ASSERT_EQ(0, vfifo_producer_commit(&p, sizeof(message)));
		ASSERT_TRUE(eventually(!queued(self->dev.fd)));
	}
	for (i = 0; i < CROWD; i++)
		EXPECT_EQ(0, child_end(pids[i]));
	EXPECT_TRUE(each_once(seen));
	vfifo_producer_close(&p);
}

TEST_F(mapped, several_writers_to_a_mapped_consumer)
{
	__u8 *seen = shared(MESSAGES);
	struct message buf[50];
	struct vfifo_consumer c;
	pid_t pids[CROWD];
	__u64 random = vfifo_seed;
	__u32 done = 0, n, i, number;
	const void *from;
	size_t len;

	LOG_SEED();
	ASSERT_NE(NULL, seen);
	ASSERT_EQ(0, attr_set("capacity", self->page));
	for (i = 0; i < CROWD; i++) {
		pids[i] = child_start(2 * DEADLINE);
		if (pids[i])
			continue;
		memset(buf, 0, sizeof(buf));
		for (number = i; number < MESSAGES;) {
			n = 1 + rnd(&random) % ARRAY_SIZE(buf);
			for (len = 0; len < n && number < MESSAGES; len++) {
				buf[len].number = number;
				buf[len].check = mix64(number);
				number += CROWD;
			}
			len *= sizeof(*buf);
			if (write(self->fd, buf, len) != (ssize_t)len)
				_exit(1);
		}
		_exit(0);
	}
	ASSERT_EQ(0, vfifo_consumer_open_fd(&c, self->dev.fd));
	while (done < MESSAGES) {
		ASSERT_EQ(0, wait_bytes(&c, 1));
		from = vfifo_consumer_peek(&c, &len);
		ASSERT_EQ(0, tally(from, len, seen));
		ASSERT_EQ(0, vfifo_consumer_release(&c, len));
		done += len / sizeof(*buf);
	}
	for (i = 0; i < CROWD; i++)
		EXPECT_EQ(0, child_end(pids[i]));
	EXPECT_TRUE(each_once(seen));
	EXPECT_EQ(NULL, vfifo_consumer_peek(&c, &len));
	vfifo_consumer_close(&c);
}

int main(int argc, char **argv)
{
	return vfifo_main(argc, argv);
}
