/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Child processes and whether they sleep, signals, shared memory, and descriptors
 * passed between processes.
 */
#ifndef VFIFO_PROCESS_H
#define VFIFO_PROCESS_H

#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "vfifo_files.h"

/* The user and group without any rights. */
#define NOBODY	65534

/* ---- children ---- */

/* Memory shared with children. */
static inline void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* A child that outlives neither its parent nor @seconds. */
static inline pid_t child_start(unsigned int seconds)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(seconds);
	}
	return pid;
}

/* The same, without any rights; exits with 99 if it cannot give them up. */
static inline pid_t nobody_start(unsigned int seconds)
{
	pid_t pid = child_start(seconds);

	if (!pid && !geteuid() &&
	    (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	     setresuid(NOBODY, NOBODY, NOBODY)))
		_exit(99);
	return pid;
}

/* A child's exit status, or minus the number of the signal that ended it. */
static inline int child_end(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* Kills a child, or does nothing if there is none: its end, and @pid is 0. */
static inline int child_kill(pid_t *pid)
{
	int ret = 0;

	if (*pid > 0) {
		kill(*pid, SIGKILL);
		ret = child_end(*pid);
	}
	*pid = 0;
	return ret;
}

static inline char child_state(pid_t pid)
{
	const char *p;
	char dir[64];

	snprintf(dir, sizeof(dir), "/proc/%d", pid);
	/* The name before the state may contain brackets and spaces. */
	p = strrchr(file_text(dir, "stat"), ')');
	return p && p[1] ? p[2] : 0;
}

/*
 * Whether the child sleeps interruptibly. The state changes before the child has
 * left its CPU. "syscall" says "running" until then, and only then is the sleep
 * counted, see switches().
 */
static inline bool child_asleep(pid_t pid)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "/proc/%d", pid);
	return child_state(pid) == 'S' &&
	       strncmp(file_text(dir, "syscall"), "running", 7);
}

/*
 * True once the child sleeps interruptibly. The children of these tests sleep in
 * nothing but the call under test, so this says that the call blocks.
 */
static inline bool child_sleeps(pid_t pid)
{
	return eventually(child_asleep(pid));
}

/* How often a process has gone to sleep, or -1. */
static inline long switches(pid_t pid)
{
	const char *p;
	char dir[64];

	snprintf(dir, sizeof(dir), "/proc/%d", pid);
	p = strstr(file_text(dir, "status"), "\nvoluntary_ctxt_switches:");
	return p ? strtol(strchr(p, ':') + 1, NULL, 10) : -1;
}

/*
 * Real-time priority for this process: on one CPU, its children run only while it
 * sleeps.
 */
static inline bool run_alone(bool on)
{
	struct sched_param param = { .sched_priority = on ? 10 : 0 };

	return !sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &param);
}

/* Keeps this process, and children that it starts, on the present CPU. */
static inline bool stay_here(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	return !sched_setaffinity(0, sizeof(here), &here);
}

/* ---- signals ---- */

static inline void no_op(int sig)
{
	(void)sig;
}

/* Blocks a signal, so that it stays pending until a test takes it. */
static inline void hold_signal(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static inline int want_signals(int fd, pid_t owner)
{
	if (fcntl(fd, F_SETOWN, owner))
		return -1;
	return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC);
}

/* Takes a pending signal. A call that sends a signal has sent it when it returns. */
static inline bool took(int sig)
{
	struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return sigtimedwait(&set, NULL, &now) == sig;
}

static inline bool signalled(void)
{
	return took(SIGIO);
}

/* ---- memory ---- */

/* Two pages, of which the second faults. */
static inline char *half_mapped(long page)
{
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + page, page, PROT_NONE))
		return NULL;
	return p;
}

/* ---- descriptors ---- */

/* Passes a descriptor over a socket: 0, or -1. */
static inline int send_fd(int sock, int fd)
{
	char buf[CMSG_SPACE(sizeof(int))] = { 0 }, c = 'f';
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = buf, .msg_controllen = sizeof(buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -1;
}

/* The descriptor received from a socket, or -1. */
static inline int receive_fd(int sock)
{
	char buf[CMSG_SPACE(sizeof(int))] = { 0 }, c;
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = buf, .msg_controllen = sizeof(buf),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(sock, &msg, 0) != 1)
		return -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg)
		return -1;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	return fd;
}

/* ---- 32-bit programs ---- */

#ifdef __x86_64__
/* An ioctl as a 32-bit program makes it; @arg must be a low address. */
static inline long ioctl32(int fd, unsigned int cmd, void *arg)
{
	long ret = 54;

	asm volatile("int $0x80"
		     : "+a" (ret)
		     : "b" ((long)fd), "c" ((long)cmd), "d" (arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

/* Whether the kernel has 32-bit system calls. Without them, "int $0x80" kills. */
static inline bool runs_32_bit(void)
{
	pid_t pid = child_start(DEADLINE);

	if (!pid) {
		ioctl32(-1, 0, NULL);
		_exit(0);
	}
	return child_end(pid) != -SIGSEGV;
}
#endif

#endif /* VFIFO_PROCESS_H */
