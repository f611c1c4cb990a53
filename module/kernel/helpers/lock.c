// SPDX-License-Identifier: GPL-2.0-only
/* Helpers for the module's own locks, each in a class of its depth, and for RCU. */
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

static const char *const aufs_mutex_names[AUFS_MUTEX_KINDS] = {
	[AUFS_MUTEX_COPY] = "aufs_copy_lock",
	[AUFS_MUTEX_DIR_FILE] = "aufs_dir_file",
	[AUFS_MUTEX_HOUSEKEEPING] = "aufs_housekeeping",
};

/* All our sysfs files are of one class: their readers take no lock. */
void aufs_bin_attr_init(struct bin_attribute *attr)
{
	sysfs_bin_attr_init(attr);
}

/*
 * For a union whose branches are stacked @depth times. There is a class for each kind and depth:
 * all classes are initialised here, and a union locks before its branches do.
 */
void aufs_mutex_init(struct mutex *mutex, enum aufs_mutex_kind kind, int depth)
{
	static struct lock_class_key keys[AUFS_MUTEX_KINDS][FILESYSTEM_MAX_STACK_DEPTH];

	if (WARN_ON_ONCE(depth < 0 || depth >= FILESYSTEM_MAX_STACK_DEPTH))
		depth = 0;
	__mutex_init(mutex, aufs_mutex_names[kind], &keys[kind][depth]);
}

void aufs_mutex_lock(struct mutex *mutex)
{
	mutex_lock(mutex);
}

/* -EINTR on a fatal signal. */
int aufs_mutex_lock_killable(struct mutex *mutex)
{
	return mutex_lock_killable(mutex);
}

bool aufs_mutex_trylock(struct mutex *mutex)
{
	return mutex_trylock(mutex);
}

void aufs_mutex_unlock(struct mutex *mutex)
{
	mutex_unlock(mutex);
}

/* Guards the list of branches in use: claims.cc. */
static DEFINE_MUTEX(aufs_claims);

void aufs_claims_lock(void)
{
	mutex_lock(&aufs_claims);
}

void aufs_claims_unlock(void)
{
	mutex_unlock(&aufs_claims);
}

/*
 * A task that shares the list may have write access to a filesystem. A union below may take write
 * access to the same filesystem while its own list is locked, and users of that list wait for
 * write access. So no task waits behind another that wants the list exclusively: that one only
 * tries.
 */
void aufs_list_lock_init(struct aufs_list_lock *lock, int depth)
{
	static struct lock_class_key keys[FILESYSTEM_MAX_STACK_DEPTH];

	if (WARN_ON_ONCE(depth < 0 || depth >= FILESYSTEM_MAX_STACK_DEPTH))
		depth = 0;
	__init_rwsem(&lock->sem, "aufs_list", &keys[depth]);
	init_waitqueue_head(&lock->wait);
	lock->wanted = false;
}

/*
 * Moments in which tasks that come let another one go first, which wants the list exclusively: how
 * long the first one is, when the second one begins, and how long any is at most.
 */
#define AUFS_LIST_MOMENT  (HZ / 20)
#define AUFS_LIST_SECOND  (HZ / 2)
#define AUFS_LIST_LONGEST (2 * HZ)

/*
 * A task that comes while another wants the list exclusively lets that one go first, for a moment.
 * Else a few tasks that always come again would keep it out for ever.
 */
void aufs_list_lock_shared(struct aufs_list_lock *lock)
{
	if (unlikely(READ_ONCE(lock->wanted)))
		wait_event_timeout(lock->wait, !READ_ONCE(lock->wanted), AUFS_LIST_LONGEST);
	if (!down_read_trylock(&lock->sem))
		wait_event(lock->wait, down_read_trylock(&lock->sem));
}

/* A task that waits for the list exclusively sets whether others let it go first. */
static void aufs_list_set_wanted(struct aufs_list_lock *lock, bool wanted)
{
	if (READ_ONCE(lock->wanted) == wanted)
		return;
	WRITE_ONCE(lock->wanted, wanted);
	if (!wanted)
		wake_up_all(&lock->wait);
}

/*
 * Whether such a moment is now, @waited ticks after the start. They begin after half a second, one
 * second, two, four, and so on. Each is as long as an eighth of the time until then: so tasks that
 * have the list for some time each are all gone in one of them.
 */
static bool aufs_list_is_moment(unsigned long waited)
{
	unsigned long from = AUFS_LIST_SECOND;

	if (waited <= AUFS_LIST_MOMENT)
		return true;
	while (2 * from <= waited)
		from *= 2;
	return waited >= from && waited - from <= clamp_t(unsigned long, from / 8, AUFS_LIST_MOMENT,
							  AUFS_LIST_LONGEST);
}

/*
 * A caller that insists waits half a minute, as for a large file's copy-up. Others let it go first
 * now and then. In the rest of the time they do not: if one task keeps the list for long, nobody
 * else has to wait for it. A caller that does not insist waits for a moment. -EBUSY then, -EINTR on
 * a fatal signal.
 */
int aufs_list_lock_alone(struct aufs_list_lock *lock, bool insists)
{
	unsigned long begin = jiffies;
	unsigned long most = insists ? 30 * HZ : AUFS_LIST_MOMENT;
	int err = 0;

	while (!down_write_trylock(&lock->sem)) {
		unsigned long waited = jiffies - begin;

		if (insists)
			aufs_list_set_wanted(lock, aufs_list_is_moment(waited));
		if (fatal_signal_pending(current))
			err = -EINTR;
		else if (waited > most)
			err = -EBUSY;
		if (err)
			break;
		/* With PREEMPT_RT a failed try may have kept out tasks that wanted to share. */
		if (IS_ENABLED(CONFIG_PREEMPT_RT))
			wake_up_all(&lock->wait);
		schedule_timeout_killable(1);
	}
	if (insists)
		WRITE_ONCE(lock->wanted, false);
	if (err)
		wake_up_all(&lock->wait);
	return err;
}

void aufs_list_unlock(struct aufs_list_lock *lock)
{
	up_write(&lock->sem);
	wake_up_all(&lock->wait);
}

void aufs_list_unlock_shared(struct aufs_list_lock *lock)
{
	up_read(&lock->sem);
}

void aufs_rcu_read_lock(void)
{
	rcu_read_lock();
	__release(RCU); /* sparse: the caller has it */
}

void aufs_rcu_read_unlock(void)
{
	__acquire(RCU); /* the same */
	rcu_read_unlock();
}

void aufs_synchronize_rcu(void)
{
	synchronize_rcu();
}
