// SPDX-License-Identifier: GPL-2.0-only
/*
 * The runtime shim, as far as it takes a kernel: its memory here, counts and locks in cxxrt_handles.cc.
 * kunit/host/cxxrt/cxxrt-test.cc tests the rest without a kernel.
 */
#include "support/failing.hh"
#include "noted.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "cxxrt.cases"
#undef CASE
}

using namespace aufs;
using namespace aufs::test;

namespace
{

/* More than the kernel allocates at once. The constructor must not run then. */
struct Huge {
	static constexpr unsigned long size = 1UL << 32;
	unsigned char bytes[size];

	explicit Huge(bool &constructed)
	{
		constructed = true;
	}
};

struct Base {
	Noted noted;

	explicit Base(Log &log) : noted(log, 'b')
	{
	}
	Base(const Base &) = delete;
	Base &operator=(const Base &) = delete;
	virtual ~Base() = default;
	virtual int answer() const = 0;
};

struct Derived final : Base {
	Noted more;
	u64 payload[8] = {};

	explicit Derived(Log &log) : Base(log), more(log, 'd')
	{
	}
	int answer() const override
	{
		return 42;
	}
};

} // namespace

CASE_BODY(cxxrt_new_is_kmalloc)
{
	struct Thing {
		u64 words[10];
	};
	auto thing = Own<Thing>::adopt(new (Gfp{GFP_KERNEL}) Thing{{7}});
	auto array = Own<u16[]>::adopt(new (Gfp{GFP_KERNEL}) u16[100]);

	if (!EXPECT(test, thing) || !EXPECT(test, array))
		return;
	EXPECT(test, ksize(thing.get()) >= sizeof(Thing));
	EXPECT(test, ksize(thing.get()) < 4 * sizeof(Thing));
	EXPECT(test, !aufs_test_is_vmalloc(thing.get()));
	EXPECT_EQ(test, thing->words[0], 7);
	EXPECT_EQ(test, thing->words[9], 0);
	/* There is nothing to destroy, so the array has no head for a number. */
	EXPECT(test, ksize(array.get()) >= 100 * sizeof(u16));
}

CASE_BODY(cxxrt_new_heeds_its_flags)
{
	constexpr unsigned int size = 512;

	for (unsigned int round = 0; round < 100; ++round) {
		{
			auto dirty = Own<u8[]>::adopt(new (Gfp{GFP_KERNEL}) u8[size]);

			if (!EXPECT(test, dirty))
				return;
			for (unsigned int i = 0; i < size; ++i)
				dirty[i] = 0xa5;
		}

		auto zero = Own<u8[]>::adopt(new (Gfp{GFP_KERNEL | __GFP_ZERO}) u8[size]);
		unsigned int set = 0;

		if (!EXPECT(test, zero))
			return;
		for (unsigned int i = 0; i < size; ++i)
			set += zero[i] != 0;
		if (!EXPECT_EQ(test, set, 0))
			return;
	}
}

CASE_BODY(cxxrt_new_is_aligned)
{
	for (unsigned long size = 1; size <= 9000; size += size < 300 ? 1 : 97) {
		auto bytes = Own<u8[]>::adopt(new (Gfp{GFP_KERNEL}) u8[size]);

		if (!EXPECT(test, bytes) ||
		    !EXPECT_EQ(test, reinterpret_cast<unsigned long>(bytes.get()) % alignof(u64),
			       0))
			return;
	}
}

CASE_BODY(cxxrt_new_of_too_much)
{
	/* An allocation of that size would warn without __GFP_NOWARN. */
	const Gfp quiet{GFP_KERNEL | __GFP_NOWARN};
	bool constructed = false;
	auto huge = Own<Huge>::adopt(new (quiet) Huge(constructed));

	EXPECT(test, !huge);
	EXPECT(test, !constructed);

	/* The same for an array whose size the compiler does not know. */
	unsigned long volatile elements = Huge::size / sizeof(u64);
	auto array = Own<u64[]>::adopt(new (quiet) u64[elements]);

	EXPECT(test, !array);
}

CASE_BODY(cxxrt_new_that_fails)
{
	Failures failures(test);

	if (!failures.ok())
		return;

	Log log;

	aufs_test_fail_nth(1);

	auto failed = Own<Noted>::adopt(new (Gfp{GFP_KERNEL}) Noted(log, 'x'));

	EXPECT(test, aufs_test_has_failed());
	aufs_test_fail_nth(1);

	auto none = Own<Noted[]>::adopt(new (Gfp{GFP_KERNEL}) Noted[3]);

	EXPECT(test, aufs_test_has_failed());
	aufs_test_fail_nth(0);
	EXPECT(test, !failed);
	EXPECT(test, !none);
	failed = {};
	none = {};
	EXPECT(test, log.is(""));

	auto works = Own<Noted>::adopt(new (Gfp{GFP_KERNEL}) Noted(log, 'x'));

	EXPECT(test, works);
	works = {};
	EXPECT(test, log.is("x"));
}

/* Allocates twice as much as the machine has: memory that is not given back would be missing before the end. */
CASE_BODY(cxxrt_delete_gives_back)
{
	constexpr u64 size = 256 * 1024;
	const u64 all = 2 * aufs_test_memory();

	for (u64 given = 0; given < all; given += 2 * size) {
		auto one = Own<u8[]>::adopt(new (Gfp{GFP_KERNEL}) u8[size]);
		u8 *two = new (Gfp{GFP_KERNEL}) u8[size];
		bool both = one && two;

		delete[] two;
		if (!EXPECT(test, both))
			return;
	}
}

CASE_BODY(cxxrt_arrays)
{
	Log log;

	{
		auto array = Own<Noted[]>::adopt(new (Gfp{GFP_KERNEL}) Noted[4]);

		if (!EXPECT(test, array))
			return;
		for (unsigned int i = 0; i < 4; ++i) {
			EXPECT(test, !array[i].log);
			array[i].log = &log;
			array[i].name = static_cast<char>('0' + i);
		}
		EXPECT_EQ(test, reinterpret_cast<unsigned long>(array.get()) % alignof(Noted), 0);

		auto moved = move(array);

		EXPECT(test, !array);
		EXPECT(test, log.is(""));
	}
	/* Each was destroyed once, the last one first, and their number is stored before them. */
	EXPECT(test, log.is("3210"));
}

CASE_BODY(cxxrt_virtual_destructors)
{
	Log log;

	{
		auto object = Own<Base>::adopt(new (Gfp{GFP_KERNEL}) Derived(log));

		if (!EXPECT(test, object))
			return;
		EXPECT_EQ(test, object->answer(), 42);
		EXPECT(test, ksize(object.get()) >= sizeof(Derived));
	}
	EXPECT(test, log.is("db"));
}

CASE_BODY(cxxrt_kv_arrays)
{
	constexpr unsigned long elements = KMALLOC_MAX_SIZE / sizeof(u64) + 1;
	auto small = KvArray<u64>::allocate(4);

	if (!EXPECT(test, small.data))
		return;
	EXPECT(test, !aufs_test_is_vmalloc(small.data));
	small.data[3] = 3;

	/* Without an MMU there is only kmalloc's memory, and that warns of such a size. */
	if (!aufs_test_has_mmu())
		return;

	auto large = KvArray<u64>::allocate(elements);

	if (!EXPECT(test, large.data))
		return;
	EXPECT(test, aufs_test_is_vmalloc(large.data));
	large.data[elements - 1] = 5;

	auto moved = move(large);

	EXPECT(test, !large.data);
	EXPECT_EQ(test, moved.data[elements - 1], 5);
	/* The memory that it had before is freed. */
	moved = move(small);
	EXPECT(test, !small.data);
	EXPECT_EQ(test, moved.data[3], 3);
}
