// SPDX-License-Identifier: GPL-2.0-only
/* The handles on objects that the kernel counts and locks: see cxxrt.cc. */
#include "mmap/branch_file.hh"
#include "support/fixture.hh"
#include "branch/dir_lock.hh"
#include "noted.hh"
#include "span.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "cxxrt.cases"
#undef CASE
}

using namespace aufs;
using namespace aufs::test;

namespace
{

long count(const struct inode &inode)
{
	return inode.i_count.counter;
}
long count(const struct dentry &dentry)
{
	return dentry.d_lockref.count;
}
long count(const struct cred &cred)
{
	return cred.usage.counter;
}
long count(const Ref<struct file> &file)
{
	return aufs_test_file_count(file.get());
}

Ref<struct file> root(struct kunit *test)
{
	struct file *file = filp_open("/", O_RDONLY | O_DIRECTORY, 0);

	return EXPECT(test, !is_error(file)) ? Ref<struct file>::adopt(file) : Ref<struct file>();
}

Result<Ref<struct file>> open_path(const char *path)
{
	return adopt_or_error(filp_open(path, O_RDONLY, 0));
}

} // namespace

CASE_BODY(cxxrt_ref_counts_files)
{
	auto file = root(test);
	auto other = root(test);

	if (!file || !other)
		return;
	EXPECT_EQ(test, count(file), 1);
	{
		auto clone = file.clone();
		auto retained = Ref<struct file>::retain(file.get());

		EXPECT_EQ(test, count(file), 3);

		auto moved = move(clone);

		EXPECT(test, !clone);
		EXPECT_EQ(test, count(file), 3);
		moved = other.clone();
		EXPECT_EQ(test, count(file), 2);
		EXPECT_EQ(test, count(other), 2);

		auto &same = moved;

		moved = move(same);
		EXPECT(test, moved.get() == other.get());
		EXPECT_EQ(test, count(other), 2);

		auto adopted = Ref<struct file>::adopt(retained.leak());

		EXPECT(test, !retained);
		EXPECT_EQ(test, count(file), 2);
	}
	EXPECT_EQ(test, count(file), 1);
	EXPECT_EQ(test, count(other), 1);
}

CASE_BODY(cxxrt_ref_puts_the_last_one)
{
	Union mount(test);

	if (!mount.ok())
		return;

	auto file = mount.make("/union/file", 1);

	if (!file)
		return;

	/* The union's file has a reference on this one until its end. */
	auto branch = Ref<struct file>::retain(&h_file_of(*file));

	EXPECT_EQ(test, count(branch), 2);
	{
		auto clone = file.clone();

		file = {};
		flush_delayed_fput();
		EXPECT_EQ(test, count(branch), 2);
	}
	for (int tries = 0; tries < 100 && count(branch) != 1; ++tries) {
		flush_delayed_fput();
		aufs_test_sleep(1);
	}
	EXPECT_EQ(test, count(branch), 1);
}

CASE_BODY(cxxrt_ref_counts_dentries_and_inodes)
{
	Union mount(test);

	if (!mount.ok())
		return;

	auto file = mount.make("/union/file", 1);

	if (!file)
		return;

	struct dentry &dentry = *file->f_path.dentry;
	struct inode &inode = *file->f_inode;
	const struct cred &cred = *aufs_current_cred();
	long dentries = count(dentry);
	long inodes = count(inode);
	long creds = count(cred);

	{
		auto a = Ref<struct dentry>::retain(&dentry);
		auto b = a.clone();
		auto c = move(a);
		auto d = Ref<struct inode>::retain(&inode);
		auto e = Ref<const struct cred>::retain(&cred);
		auto f = e.clone();

		EXPECT(test, !a);
		EXPECT_EQ(test, count(dentry), dentries + 2);
		EXPECT_EQ(test, count(inode), inodes + 1);
		EXPECT_EQ(test, count(cred), creds + 2);
		e = {};
		EXPECT_EQ(test, count(cred), creds + 1);
	}
	EXPECT_EQ(test, count(dentry), dentries);
	EXPECT_EQ(test, count(inode), inodes);
	EXPECT_EQ(test, count(cred), creds);
}

CASE_BODY(cxxrt_errors_of_the_kernel)
{
	auto missing = open_path("/there/is/no/such/file");

	EXPECT(test, !missing.ok());
	EXPECT_EQ(test, missing.error(), -ENOENT);

	auto found = open_path("/");

	if (EXPECT(test, found.ok()))
		EXPECT_EQ(test, count(found.value()), 1);
	EXPECT_EQ(test, found.error(), 0);

	EXPECT(test, is_error(error_pointer<struct file>(-1)));
	EXPECT(test, is_error(error_pointer<struct file>(-static_cast<int>(MAX_ERRNO))));
	EXPECT(test, !is_error(error_pointer<struct file>(-static_cast<int>(MAX_ERRNO) - 1)));
	EXPECT(test, !is_error(static_cast<struct file *>(nullptr)));
	EXPECT(test, !is_error(found.value().get()));
	EXPECT_EQ(test, to_errno(check(-EIO)), -EIO);
	EXPECT_EQ(test, to_errno(check(3)), 0);
}

namespace
{

/* Takes a lock, a reference and memory, and then returns with the result of opening @path. */
Result<int> takes_all(Log &log, struct mutex &mutex, const Ref<struct file> &file, const char *path)
{
	Noted first(log, '1');
	MutexLock lock(mutex);
	auto reference = file.clone();
	ScopeExit locked([&log, &mutex, &file]() {
		log.add(aufs_test_mutex_is_locked(&mutex) && count(file) == 2 ? 'L' : '?');
	});
	auto memory = Own<Noted>::adopt(new (Gfp{GFP_KERNEL}) Noted(log, 'm'));
	ScopeExit dismissed([&log]() { log.add('?'); });
	auto opened = TRY(open_path(path));

	dismissed.dismiss();
	log.add('o');
	return count(opened) == 1 ? 42 : 0;
}

} // namespace

CASE_BODY(cxxrt_try_leaves_in_order)
{
	auto file = root(test);
	struct mutex mutex;
	Log log;

	if (!file)
		return;
	aufs_mutex_init(&mutex, AUFS_MUTEX_COPY, 0);

	auto good = takes_all(log, mutex, file, "/");

	EXPECT(test, good.ok() && good.value() == 42);
	EXPECT(test, log.is("omL1"));
	EXPECT(test, !aufs_test_mutex_is_locked(&mutex));
	EXPECT_EQ(test, count(file), 1);
	log.clear();

	auto bad = takes_all(log, mutex, file, "/there/is/no/such/file");

	EXPECT_EQ(test, bad.error(), -ENOENT);
	/* The ScopeExit that was not dismissed ran first. */
	EXPECT(test, log.is("?mL1"));
	EXPECT(test, !aufs_test_mutex_is_locked(&mutex));
	EXPECT_EQ(test, count(file), 1);
}

CASE_BODY(cxxrt_moved_from_is_empty)
{
	auto file = root(test);
	Log log;

	if (!file)
		return;
	{
		auto own = Own<Noted>::adopt(new (Gfp{GFP_KERNEL}) Noted(log, 'a'));
		auto other = Own<Noted>::adopt(new (Gfp{GFP_KERNEL}) Noted(log, 'b'));

		if (!EXPECT(test, own) || !EXPECT(test, other))
			return;
		own = move(other);
		EXPECT(test, log.is("a"));
		EXPECT(test, !other);

		auto &same = own;

		own = move(same);
		EXPECT(test, own);
		EXPECT(test, log.is("a"));
	}
	EXPECT(test, log.is("ab"));
	{
		Result<Ref<struct file>> result = file.clone();

		EXPECT_EQ(test, count(file), 2);

		auto taken = result.release();

		EXPECT(test, result.ok() && !result.value());
		EXPECT_EQ(test, count(file), 2);

		Result<Ref<struct file>> next = move(taken);
		Result<Ref<struct file>> last = move(next);

		EXPECT(test, last.ok() && last.value().get() == file.get());
		EXPECT_EQ(test, count(file), 2);
	}
	EXPECT_EQ(test, count(file), 1);
}

CASE_BODY(cxxrt_scoped_creds)
{
	Union mount(test);
	struct cred *made = prepare_creds();

	if (!EXPECT(test, made))
		return;

	auto cred = Ref<const struct cred>::adopt(made);
	const struct cred *before = aufs_current_cred();
	long references = count(*before);

	made->fsuid.val = 1234;
	if (!mount.ok())
		return;

	auto leaves_early = [&]() -> Result<void> {
		ScopedCreds scope(*cred);

		EXPECT(test, aufs_current_cred() == cred.get());
		{
			ScopedCreds back(*before);

			EXPECT(test, aufs_current_cred() == before);
		}
		EXPECT(test, aufs_current_cred() == cred.get());

		auto others = mount.open("/branches/rw/others", O_RDWR | O_CREAT);

		if (others)
			EXPECT_EQ(test, others->f_inode->i_uid.val, 1234);
		TRY(check(-EPERM));
		return {};
	};

	EXPECT_EQ(test, leaves_early().error(), -EPERM);
	EXPECT(test, aufs_current_cred() == before);

	auto own = mount.open("/branches/rw/own", O_RDWR | O_CREAT);

	if (own)
		EXPECT_EQ(test, own->f_inode->i_uid.val, before->fsuid.val);
	/* Open files have a reference. When they are closed, nobody else has one. */
	own = {};
	for (int tries = 0; tries < 100 && (count(*before) != references || count(*cred) != 1);
	     ++tries) {
		flush_delayed_fput();
		rcu_barrier();
		aufs_test_sleep(1);
	}
	EXPECT_EQ(test, count(*before), references);
	EXPECT_EQ(test, count(*cred), 1);
}

CASE_BODY(cxxrt_locks_end_with_the_scope)
{
	Union mount(test);
	struct mutex mutex;

	if (!mount.ok())
		return;

	auto file = mount.open(Union::at, O_RDONLY | O_DIRECTORY);

	if (!file)
		return;
	aufs_mutex_init(&mutex, AUFS_MUTEX_COPY, 0);

	const Super &super = Inode::of(*file->f_inode).super();
	AsMounter mounter = super.as_mounter();
	const Branch &branch = *super.branch_at(0);
	struct dentry &root = branch.root();
	struct inode &inode = *root.d_inode;
	auto in_order = [&](int error) -> Result<void> {
		MutexLock lock(mutex);
		auto writer = TRY(branch.write(mounter));
		auto dir = TRY(DirLock::get(writer, root));

		EXPECT(test, aufs_test_mutex_is_locked(&mutex));
		EXPECT(test, aufs_test_inode_is_locked(&inode));
		EXPECT(test, &dir.dir() == &root);
		TRY(check(error));
		return {};
	};

	static constexpr int errors[] = {0, -EIO};

	for (int error : errors) {
		EXPECT_EQ(test, in_order(error).error(), error);
		EXPECT(test, !aufs_test_mutex_is_locked(&mutex));
		EXPECT(test, !aufs_test_inode_is_locked(&inode));
	}
	{
		InodeLock lock(inode);

		EXPECT(test, aufs_test_inode_is_locked(&inode));
	}
	EXPECT(test, !aufs_test_inode_is_locked(&inode));
}

/* Write access to a branch keeps its filesystem from becoming read-only, and no longer. */
CASE_BODY(cxxrt_branch_write)
{
	Union mount(test);

	if (!mount.ok())
		return;

	auto dir = mount.open(Union::at, O_RDONLY | O_DIRECTORY);

	if (!dir)
		return;

	const Super &super = Inode::of(*dir->f_inode).super();
	const Branch &branch = *super.branch_at(0);
	AsMounter mounter = super.as_mounter();

	/* A ro branch gives no write access, even if its filesystem would. */
	EXPECT_EQ(test, super.branch_at(1)->write(mounter).error(), -EROFS);
	EXPECT_EQ(test, aufs_test_remount(Union::branches, true), 0);
	EXPECT_EQ(test, branch.write(mounter).error(), -EROFS);
	EXPECT_EQ(test, aufs_test_remount(Union::branches, false), 0);
	{
		auto writer = branch.write(mounter);

		if (!EXPECT(test, writer.ok()))
			return;

		Writer moved = writer.release();

		EXPECT(test, &moved.branch() == &branch);
		EXPECT_EQ(test, aufs_test_remount(Union::branches, true), -EBUSY);
	}
	EXPECT_EQ(test, aufs_test_remount(Union::branches, true), 0);
	EXPECT_EQ(test, aufs_test_remount(Union::branches, false), 0);
}

CASE_BODY(cxxrt_names)
{
	Union mount(test);

	if (!mount.ok())
		return;

	auto file = mount.make("/union/a-name", 1);

	if (!file)
		return;

	StringView name = name_of(*file->f_path.dentry);
	cxxrt::Span<const char> span(name.data(), name.size());
	unsigned int letters = 0;

	EXPECT(test, name == "a-name");
	EXPECT(test, name.starts_with("a-") && name.substr(2) == "name");
	/* The text is borrowed from the dentry. */
	EXPECT(test, static_cast<const void *>(name.data()) ==
			     static_cast<const void *>(file->f_path.dentry->d_name.name));
	for (char letter : span)
		letters += letter != '-';
	EXPECT_EQ(test, letters, 5);
}
