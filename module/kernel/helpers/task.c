// SPDX-License-Identifier: GPL-2.0-only
/* Helpers for the current task: its signals, its time. Alphabetical. */
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

s64 aufs_coarse_time(void)
{
	struct timespec64 now;

	ktime_get_coarse_real_ts64(&now);
	return timespec64_to_ns(&now);
}

void aufs_pause(void)
{
	schedule_timeout_killable(1);
}

bool aufs_signal_pending(void)
{
	return fatal_signal_pending(current);
}

/*
 * Blocks every signal, SIGKILL too, which only the kernel may do; @old gets the set that was
 * blocked before.
 */
void aufs_signals_block_all(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, old);
}

/*
 * Blocks the signals for which the task has handlers; @old gets the set that was blocked before.
 * Signals that would end or stop the task come through.
 */
void aufs_signals_block_handled(sigset_t *old)
{
	/* The task's sighand is there as long as the task runs. */
	struct sighand_struct *sighand = unrcu_pointer(current->sighand);
	sigset_t set;
	int sig;

	spin_lock_irq(&sighand->siglock);
	set = current->blocked;
	for (sig = 1; sig <= _NSIG; sig++) {
		__sighandler_t handler = sighand->action[sig - 1].sa.sa_handler;

		if (handler != SIG_DFL && handler != SIG_IGN)
			sigaddset(&set, sig);
	}
	spin_unlock_irq(&sighand->siglock);
	sigprocmask(SIG_SETMASK, &set, old);
}

void aufs_signals_restore(sigset_t *old)
{
	sigprocmask(SIG_SETMASK, old, NULL);
}
