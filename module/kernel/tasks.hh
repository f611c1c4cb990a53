/* SPDX-License-Identifier: GPL-2.0-only */
/* The current task: who it is, what it may, which signals it has. And other tasks. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

inline const struct cred &current_cred()
{
	return *aufs_current_cred();
}

/* Its credentials without CAP_SYS_RESOURCE; null without memory. Sleeps. */
inline Ref<const struct cred> limited_creds()
{
	return Ref<const struct cred>::adopt(aufs_limited_creds());
}

/* Whether it may go over quotas and into reserved blocks. Any context. */
inline bool may_exceed_limits()
{
	return aufs_may_exceed_limits();
}

/* Whether it may mount this filesystem. Any context. */
inline bool may_mount()
{
	return aufs_may_mount();
}

/* It has a fatal signal. Any context. */
inline bool is_being_killed()
{
	return aufs_signal_pending();
}

/* Lets others run, for a tick, or until a fatal signal. */
inline void pause_shortly()
{
	aufs_pause();
}

/* Waits until nobody looks under RCU who has begun before. Sleeps. */
inline void wait_for_rcu_readers()
{
	aufs_synchronize_rcu();
}

/* How large a file may become that the task writes to, in bytes: RLIMIT_FSIZE. */
inline unsigned long file_size_limit()
{
	return aufs_fsize_limit();
}

/*
 * Signals are seen after this scope only: those that the task has handlers for
 * (handled), or all (around what is short: what has been
 * killed tidies up, takes back and notes as well, on filesystems that then stop reading a directory or answer
 * nothing any more).
 */
class SignalsBlocked final
{
public:
	enum class Which : unsigned char { handled, all };

	explicit SignalsBlocked(Which which)
	{
		if (which == Which::all)
			aufs_signals_block_all(&old_);
		else
			aufs_signals_block_handled(&old_);
	}
	SignalsBlocked(const SignalsBlocked &) = delete;
	SignalsBlocked &operator=(const SignalsBlocked &) = delete;
	~SignalsBlocked()
	{
		aufs_signals_restore(&old_);
		if (has_notice_)
			aufs_give_notice();
	}
	/*
	 * Whether it was only told that it has work to do when it returns to user space (io_uring does that), which
	 * looks as a signal does: until the end of the scope it is not.
	 */
	bool set_notice_aside()
	{
		bool had = aufs_take_notice();

		has_notice_ |= had;
		return had;
	}

private:
	sigset_t old_;
	bool has_notice_ = false;
};

/* A process that has what @search is for: as aufs_find_user(). */
inline bool find_user(struct aufs_search &search, struct aufs_user &user)
{
	return aufs_find_user(&search, &user);
}

} // namespace aufs
