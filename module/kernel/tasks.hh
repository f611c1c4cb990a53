/* SPDX-License-Identifier: GPL-2.0-only */
/* The current task: its credentials, rights, signals. And other tasks. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

inline const struct cred &current_cred()
{
	return *aufs_current_cred();
}

/* The task's credentials without CAP_SYS_RESOURCE; null without memory. Sleeps. */
inline Ref<const struct cred> limited_creds()
{
	return Ref<const struct cred>::adopt(aufs_limited_creds(false));
}

/*
 * The same with the fsuid of the user "nobody", for what takes blocks: filesystems keep blocks for root, and know root
 * by CAP_SYS_RESOURCE or by the fsuid.
 */
inline Ref<const struct cred> limited_creds_of_nobody()
{
	return Ref<const struct cred>::adopt(aufs_limited_creds(true));
}

/* Whether the task may exceed quotas and use reserved blocks. Any context. */
inline bool may_exceed_limits()
{
	return aufs_may_exceed_limits();
}

/* Whether the task may mount this filesystem. Any context. */
inline bool may_mount()
{
	return aufs_may_mount();
}

/* Whether the task is told that there are trusted attributes. If not, security modules log no refusal. Any context. */
inline bool sees_trusted()
{
	return aufs_may_mount();
}

/* Whether the task has a fatal signal. Any context. */
inline bool is_being_killed()
{
	return aufs_signal_pending();
}

/* Lets other tasks run, for a tick, or until a fatal signal. */
inline void pause_shortly()
{
	aufs_pause();
}

/* Waits until all readers under RCU that have begun before are done. Sleeps. */
inline void wait_for_rcu_readers()
{
	aufs_synchronize_rcu();
}

/* The size up to which the task may extend a file, in bytes: RLIMIT_FSIZE. */
inline unsigned long file_size_limit()
{
	return aufs_fsize_limit();
}

/*
 * Signals are seen only after this scope: those for which the task has handlers (handled), or all. The latter is for
 * short steps by which a task tidies up, takes back or notes what it has done, also when it was killed: for such a
 * task some filesystems stop reading a directory or answer nothing any more. `later` blocks none until
 * block_handled(): whoever can try again need not look at 64 handlers before the first signal has come.
 */
class SignalsBlocked final
{
public:
	enum class Which : unsigned char { later, handled, all };

	explicit SignalsBlocked(Which which)
	{
		if (which == Which::all)
			aufs_signals_block_all(&old_);
		else if (which == Which::handled)
			aufs_signals_block_handled(&old_);
		blocks_ = which != Which::later;
	}
	SignalsBlocked(const SignalsBlocked &) = delete;
	SignalsBlocked &operator=(const SignalsBlocked &) = delete;
	~SignalsBlocked()
	{
		if (blocks_)
			aufs_signals_restore(&old_);
		if (has_notice_)
			aufs_give_notice();
	}
	/* Blocks those with handlers, if none are blocked yet. Returns whether it did. */
	bool block_handled()
	{
		if (blocks_)
			return false;
		aufs_signals_block_handled(&old_);
		blocks_ = true;
		return true;
	}
	/*
	 * Whether the task was only told that it has work to do when it returns to user space (io_uring does that),
	 * which looks as a signal does. If so, it is not told until the end of the scope.
	 */
	bool set_notice_aside()
	{
		bool had = aufs_take_notice();

		has_notice_ |= had;
		return had;
	}

private:
	sigset_t old_;
	bool blocks_;
	bool has_notice_ = false;
};

/* Finds a process that has what @search is for, as aufs_find_user(). */
inline bool find_user(struct aufs_search &search, struct aufs_user &user)
{
	return aufs_find_user(&search, &user);
}

} // namespace aufs
