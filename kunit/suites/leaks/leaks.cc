// SPDX-License-Identifier: GPL-2.0-only
/* The last suite: memory that the suites before have lost. Needs CONFIG_DEBUG_KMEMLEAK. */
#include "support/fixture.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "leaks.cases"
#undef CASE
}

using namespace aufs;
using namespace aufs::test;

namespace
{

constexpr char debugfs[] = "/debugfs";
constexpr char kmemleak[] = "/debugfs/kmemleak";

/* Reads kmemleak's report into @buffer. Returns its length, or -ENOENT without kmemleak. */
ssize_t scan(struct kunit *test, char *buffer, size_t size)
{
	ssize_t length = -ENOENT;

	if (!EXPECT_EQ(test, aufs_test_mkdir(debugfs), 0) ||
	    !EXPECT_EQ(test, aufs_test_mount("none", debugfs, "debugfs", nullptr), 0))
		return length;
	if (aufs_test_exists(kmemleak)) {
		/* kmemleak ignores young objects, and reports an object only at its second scan. */
		aufs_test_sleep(6000);
		EXPECT(test, aufs_test_write(kmemleak, "scan") > 0);
		EXPECT(test, aufs_test_write(kmemleak, "scan") > 0);
		length = aufs_test_read(kmemleak, buffer, size - 1);
		EXPECT(test, length >= 0);
		buffer[length > 0 ? length : 0] = '\0';
		EXPECT(test, aufs_test_write(kmemleak, "clear") > 0);
	}
	EXPECT_EQ(test, aufs_test_umount(debugfs), 0);
	return length;
}

/*
 * Objects that nothing refers to. Their addresses are stored inverted, so kmemleak does not see them. There are
 * several, as a stack may still have the address of one. They are zeroed: a freed object has the address of the next
 * free one, so that one found object would lead to all.
 */
struct Lost {
	static constexpr unsigned int count = 8;
	unsigned long inverted[count];

	[[gnu::noinline]] Lost()
	{
		for (unsigned long &address : inverted)
			address = ~reinterpret_cast<unsigned long>(
				cxxrt_alloc(4000, GFP_KERNEL | __GFP_ZERO));
	}
	Lost(const Lost &) = delete;
	Lost &operator=(const Lost &) = delete;
	~Lost()
	{
		for (unsigned long address : inverted)
			cxxrt_free(reinterpret_cast<const void *>(~address));
	}
};

/*
 * Whether a report is about anything but allocations of the boot, before there was a process. 6.1 reports caches of
 * ACPI on x86.
 */
bool is_about_us(const char *report)
{
	constexpr StringView who = "comm ";
	constexpr StringView boot = "comm \"swapper/0\", pid 0";
	StringView rest = StringView::from_c_string(report);

	for (; !rest.empty(); rest = rest.substr(1))
		if (rest.starts_with(who) && !rest.starts_with(boot))
			return true;
	return false;
}

void with_report(struct kunit *test, void (*judge)(struct kunit *test, const char *report))
{
	constexpr size_t size = 64 << 10;
	auto buffer = KvArray<char>::allocate(size);
	AddressSpace space(test);

	if (!EXPECT(test, buffer.data) || !space.ok())
		return;

	ssize_t length = scan(test, buffer.data, size);

	if (length == -ENOENT)
		aufs_test_skip(test, "this kernel has no kmemleak");
	else if (length >= 0)
		judge(test, buffer.data);
}

} // namespace

CASE_BODY(leaks_of_the_suites_before)
{
	with_report(test, [](struct kunit *test, const char *report) {
		if (!EXPECT(test, !is_about_us(report)))
			aufs_test_info(test, "kmemleak says:\n%s", report);
	});
}

/* The case before would fail if memory had been lost. */
CASE_BODY(leaks_are_found)
{
	Lost lost;

	with_report(test, [](struct kunit *test, const char *report) {
		EXPECT(test, is_about_us(report));
	});
}
