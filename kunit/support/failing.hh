/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls with allocations that fail, one after the other. */
#pragma once

#include "fixture.hh"

namespace aufs::test
{

/* More allocations than any of the calls makes. */
inline constexpr unsigned int too_many = 1000;

/*
 * In this scope, allocations that may wait for memory can fail too, and failures are not logged. Needs an address space
 * for a while, so no other can be in use.
 */
class Failures final
{
public:
	explicit Failures(struct kunit *test) : test_(test)
	{
		if (!aufs_test_can_fail()) {
			aufs_test_skip(test, "allocations cannot be made to fail");
			return;
		}
		ok_ = set('N', '0', '0');
	}
	Failures(const Failures &) = delete;
	Failures &operator=(const Failures &) = delete;
	~Failures()
	{
		/* The values that they have at boot. */
		if (ok_)
			set('Y', '1', '2');
	}

	bool ok() const
	{
		return ok_;
	}

private:
	bool write(const char *name, char value)
	{
		const char text[] = {value, '\0'};
		char path[64];

		scnprintf(path, sizeof(path), "/debugfs/%s", name);
		return EXPECT_EQ(test_, aufs_test_write(path, text), 1);
	}
	bool set(char ignored, char order, char verbose)
	{
		AddressSpace space(test_);

		if (!space.ok() || !EXPECT_EQ(test_, aufs_test_mkdir("/debugfs"), 0) ||
		    !EXPECT_EQ(test_, aufs_test_mount("none", "/debugfs", "debugfs", nullptr), 0))
			return false;

		bool good = write("failslab/ignore-gfp-wait", ignored) &&
			    write("failslab/verbose", verbose) &&
			    write("fail_page_alloc/ignore-gfp-wait", ignored) &&
			    write("fail_page_alloc/ignore-gfp-highmem", ignored) &&
			    write("fail_page_alloc/min-order", order) &&
			    write("fail_page_alloc/verbose", verbose);

		flush_delayed_fput();
		EXPECT_EQ(test_, aufs_test_umount("/debugfs"), 0);
		return good;
	}

	struct kunit *test_;
	bool ok_ = false;
};

inline bool no_memory(long error)
{
	return error == -ENOMEM;
}
/* madvise(2) returns -EAGAIN. */
inline bool try_again(long error)
{
	return error == -EAGAIN;
}
/* tmpfs returns -ENOSPC if there is no memory for an inode. */
inline bool no_memory_or_space(long error)
{
	return error == -ENOMEM || error == -ENOSPC;
}

/*
 * Calls @act with a failure of the first allocation, then of the second, until no allocation fails. The last result
 * must be good. All others must be good, or an error that @expected accepts. Calls @before before each, and @after
 * after each with the result, whether it is good, and whether an allocation failed. Allocations of those two do not
 * fail.
 */
template <class Before, class Act, class After>
void fail_each(struct kunit *test, bool (*expected)(long error), Before before, Act act,
	       After after)
{
	unsigned int nth = 0;
	unsigned int errors = 0;
	bool failed;

	do {
		if (!before())
			return;
		aufs_test_fail_nth(++nth);

		long result = act();

		failed = aufs_test_has_failed();
		aufs_test_fail_nth(0);

		bool good = result >= 0 || is_address(result);

		errors += !good;
		if (!good && !(failed && expected(result)))
			EXPECT_EQ(test, result, 0);
		after(result, good, failed);
	} while (failed && nth < too_many);
	EXPECT(test, !failed);
	/* Else nothing was tested. */
	EXPECT(test, nth > 1);
	EXPECT(test, errors > 0);
	aufs_test_info(test, "%u allocations failed, and so %u calls", nth - 1, errors);
}

} // namespace aufs::test
