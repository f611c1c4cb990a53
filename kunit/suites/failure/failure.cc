// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation fails once in everything that is done to a mapping. Whatever the result, both files have a reference
 * for each mapping that there is, and no other.
 */
#include "support/failing.hh"
#include "mmap/branch_file.hh"
#include "mmap/mapping.hh"
#include "support/show.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "failure.cases"
#undef CASE
}

using namespace aufs;
using namespace aufs::test;

namespace
{

constexpr unsigned int pages = 8;

struct Setup {
	Failures failures;
	Union mount;
	Proc proc;
	Ref<struct file> file;

	explicit Setup(struct kunit *test)
		: failures(test), mount(test), proc(test),
		  file(mount.ok() ? mount.make("/union/file", pages) : Ref<struct file>())
	{
	}
	bool ok() const
	{
		return failures.ok() && proc.ok() && file;
	}
};

bool expect_page(struct kunit *test, unsigned long addr, unsigned long number)
{
	unsigned long found = ~0UL;

	return EXPECT_EQ(test, aufs_test_read_user(addr, &found, sizeof(found)), 0) &&
	       EXPECT_EQ(test, found, number);
}

void expect_written(struct kunit *test, unsigned long addr)
{
	const unsigned long word = 77;

	EXPECT_EQ(test, aufs_test_write_user(addr, &word, sizeof(word)), 0);
}

/* The counts are those of @mm's mappings, and @mm can still be used. */
void expect_sound(struct kunit *test, struct mm_struct *mm, const struct file &file)
{
	unsigned int mappings = mappings_of(mm, file);

	EXPECT_EQ(test, uses_of(mm, file), mappings);
	EXPECT_COUNTS(test, file, mappings);

	unsigned long again = MAP(test, file, 2, 5, PROT_READ);

	if (!again)
		return;
	EXPECT_COUNTS(test, file, mappings + 1);
	expect_page(test, again + PAGE_SIZE, 6);
	EXPECT_EQ(test, vm_munmap(again, 2 * PAGE_SIZE), 0);
	EXPECT_EQ(test, mappings_of(mm, file), mappings);
	EXPECT_COUNTS(test, file, mappings);
}

/*
 * Calls @act with each failure in a new address space. That has the file mapped once, at the address that @act gets.
 * Without a failure there are @mappings afterwards. After a failure the first page is still mapped at its address.
 */
template <class Act>
void fail_in_mm(struct kunit *test, Setup &setup, bool (*expected)(long error),
		unsigned int mappings, Act act, unsigned long flags = MAP_SHARED)
{
	struct file &file = *setup.file;
	/* The address space cannot be copied into the loop's variable, so it is built in place each time. */
	alignas(AddressSpace) unsigned char place[sizeof(AddressSpace)];
	AddressSpace *space = nullptr;
	unsigned long addr = 0;

	auto before = [&]() {
		space = new (static_cast<void *>(place)) AddressSpace(test);
		if (!space->ok())
			return false;
		addr = MAP(test, file, pages, 0, PROT_READ | PROT_WRITE, flags);
		/* A page of its own makes a copy of a private mapping take more allocations. */
		if (addr && flags == MAP_PRIVATE)
			expect_written(test, addr + PAGE_SIZE);
		return addr && expect_page(test, addr, 0);
	};
	auto after = [&](long, bool good, bool failed) {
		if (!failed)
			EXPECT_EQ(test, mappings_of(space->mm(), file), mappings);
		if (!good)
			expect_page(test, addr, 0);
		expect_sound(test, space->mm(), file);
		space->~AddressSpace();
		EXPECT_COUNTS(test, file, 0);
	};

	fail_each(test, expected, before, [&]() { return act(addr); }, after);
}

} // namespace

CASE_BODY(fail_mmap_shared)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(test, setup, no_memory, 2,
		   [&](unsigned long) { return map(*setup.file, 3, 2, PROT_READ); });
}

CASE_BODY(fail_mmap_private)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(test, setup, no_memory, 2, [&](unsigned long) {
		return map(*setup.file, 3, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	});
}

CASE_BODY(fail_mmap_over)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(test, setup, no_memory, 3, [&](unsigned long addr) {
		return map(*setup.file, 2, 6, PROT_READ, MAP_SHARED | MAP_FIXED,
			   addr + 3 * PAGE_SIZE);
	});
}

/* The new mapping continues its neighbour, so the two could become one. */
CASE_BODY(fail_mmap_beside)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	fail_in_mm(test, setup, no_memory, 2, [&](unsigned long addr) {
		return map(*setup.file, 2, pages, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			   addr + pages * PAGE_SIZE);
	});
}

namespace
{

struct file *reported_before_error;

/* As no filesystem of ours does: the mapping has a prfile already when ->mmap fails. */
int map_and_fail(struct file *, struct vm_area_struct *vma)
{
	set_prfile(*vma, Ref<struct file>::retain(reported_before_error));
	return -EIO;
}

} // namespace

CASE_BODY(fail_mmap_in_the_filesystem)
{
	Union mount(test);
	AddressSpace space(test);

	if (!mount.ok() || !space.ok())
		return;

	auto reported = mount.make("/union/file", pages);
	auto file = mount.make("/branches/rw/plain", pages);

	if (!reported || !file)
		return;

	const struct file_operations *operations = file->f_op;
	struct file_operations failing = *operations;

	set_mmap(failing, map_and_fail);
	reported_before_error = reported.get();
	file->f_op = &failing;
	EXPECT_EQ(test, map(*file, 3, 2, PROT_READ), -EIO);
	file->f_op = operations;
	EXPECT_EQ(test, aufs_test_file_count(reported.get()), 1);
	EXPECT_EQ(test, aufs_test_file_count(file.get()), 1);
	EXPECT_EQ(test, uses_of(space.mm(), *reported), 0);
	/* There is no other reference. */
	MAP(test, *file, 3, 2, PROT_READ);
	EXPECT_EQ(test, aufs_test_file_count(file.get()), 2);
}

CASE_BODY(fail_munmap_middle)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(test, setup, no_memory, 2, [&](unsigned long addr) {
		return vm_munmap(addr + 3 * PAGE_SIZE, 2 * PAGE_SIZE);
	});
}

CASE_BODY(fail_munmap_private)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(
		test, setup, no_memory, 2,
		[&](unsigned long addr) { return vm_munmap(addr + 3 * PAGE_SIZE, 2 * PAGE_SIZE); },
		MAP_PRIVATE);
}

CASE_BODY(fail_mprotect)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(test, setup, no_memory, 3, [&](unsigned long addr) {
		return aufs_test_mprotect(addr + 3 * PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ);
	});
}

CASE_BODY(fail_madvise)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(test, setup, try_again, 3, [&](unsigned long addr) {
		return aufs_test_madvise(addr + 3 * PAGE_SIZE, 2 * PAGE_SIZE, MADV_RANDOM);
	});
}

CASE_BODY(fail_mremap_moves)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(test, setup, no_memory, 1, [&](unsigned long addr) {
		return aufs_test_mremap(addr, pages * PAGE_SIZE, pages * PAGE_SIZE,
					MREMAP_MAYMOVE | MREMAP_FIXED, addr + 1024 * PAGE_SIZE);
	});
}

CASE_BODY(fail_mremap_moves_private)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(
		test, setup, no_memory, 1,
		[&](unsigned long addr) {
			return aufs_test_mremap(addr, pages * PAGE_SIZE, pages * PAGE_SIZE,
						MREMAP_MAYMOVE | MREMAP_FIXED,
						addr + 1024 * PAGE_SIZE);
		},
		MAP_PRIVATE);
}

/* The middle of the mapping moves over its end. */
CASE_BODY(fail_mremap_moves_over)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(test, setup, no_memory, 4, [&](unsigned long addr) {
		return aufs_test_mremap(addr + 2 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE,
					MREMAP_MAYMOVE | MREMAP_FIXED, addr + 5 * PAGE_SIZE);
	});
}

CASE_BODY(fail_mremap_grows)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(test, setup, no_memory, 1, [&](unsigned long addr) {
		return aufs_test_mremap(addr, pages * PAGE_SIZE, 2 * pages * PAGE_SIZE, 0, 0);
	});
}

/* A part of the mapping grows, and has to move for that. */
CASE_BODY(fail_mremap_grows_elsewhere)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(test, setup, no_memory, 3, [&](unsigned long addr) {
		return aufs_test_mremap(addr + 2 * PAGE_SIZE, PAGE_SIZE, 3 * PAGE_SIZE,
					MREMAP_MAYMOVE, 0);
	});
}

CASE_BODY(fail_mremap_dontunmap)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(test, setup, no_memory, 2, [&](unsigned long addr) {
		return aufs_test_mremap(addr, pages * PAGE_SIZE, pages * PAGE_SIZE,
					MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
	});
}

CASE_BODY(fail_remap_file_pages)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	fail_in_mm(test, setup, no_memory, 3, [&](unsigned long addr) {
		return aufs_test_remap_file_pages(addr + 3 * PAGE_SIZE, 2 * PAGE_SIZE, 6);
	});
}

/* Forks an address space that has the file in several parts. */
CASE_BODY(fail_fork)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	AddressSpace space(test);

	if (!space.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	for (unsigned int part = 1; part < pages; part += 2)
		EXPECT_EQ(test, aufs_test_mprotect(addr + part * PAGE_SIZE, PAGE_SIZE, PROT_READ),
			  0);
	EXPECT_EQ(test, mappings_of(space.mm(), *setup.file), pages);

	/* One part is private, and has a page of its own. */
	unsigned long own = MAP(test, *setup.file, 2, 0, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	constexpr unsigned int mappings = pages + 1;

	expect_written(test, own + PAGE_SIZE);
	aufs_test_stay_on_cpu();
	EXPECT_EQ(test, aufs_test_fork([](void *) { return 0; }, nullptr), 0);

	fail_each(
		test, no_memory,
		[&]() {
			/*
			 * The next process gets the stack of the last one. If a stack cannot be allocated, the kernel
			 * logs a long report.
			 */
			rcu_barrier();
			return expect_page(test, addr + 3 * PAGE_SIZE, 3);
		},
		[&]() { return aufs_test_fork([](void *) { return 0; }, nullptr); },
		[&](long, bool, bool) {
			EXPECT_EQ(test, mappings_of(space.mm(), *setup.file), mappings);
			expect_sound(test, space.mm(), *setup.file);
		});
	space.end();
	EXPECT_COUNTS(test, *setup.file, 0);
}

namespace
{

/* Opens another file each time. Without @create the union does not know the file yet. */
void fail_to_open(struct kunit *test, int flags)
{
	Setup setup(test);
	unsigned int number = 0;
	char path[32];

	if (!setup.ok())
		return;

	auto file_name = [&](const char *dir) -> const char * {
		scnprintf(path, sizeof(path), "%s/file-%u", dir, number);
		return path;
	};

	fail_each(
		test, no_memory_or_space,
		[&]() {
			++number;
			return (flags & O_CREAT) || setup.mount.make(file_name("/branches/rw"), 1);
		},
		[&]() {
			file_name("/union");
			return reinterpret_cast<long>(filp_open(path, flags, 0644));
		},
		[&](long result, bool good, bool) {
			/* Whatever the result was, no reference is left of it. */
			auto opened = good ? Ref<struct file>::adopt(
						     reinterpret_cast<struct file *>(result)) :
					     Ref<struct file>();
			auto again = setup.mount.open(file_name("/union"), flags);

			if (opened)
				EXPECT_COUNTS(test, *opened, 0);
			if (!again)
				return;
			EXPECT_COUNTS(test, *again, 0);
			if (opened)
				EXPECT_EQ(test, opened->f_inode, again->f_inode);
		});
}

} // namespace

CASE_BODY(fail_open)
{
	fail_to_open(test, O_RDWR);
}

CASE_BODY(fail_create)
{
	fail_to_open(test, O_RDWR | O_CREAT);
}

CASE_BODY(fail_show)
{
	static const char *const names[] = {"maps", "smaps"};
	Setup setup(test);

	if (!setup.ok())
		return;

	AddressSpace space(test);

	if (!space.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);
	ShownIdentity identity = stat_of(test, *setup.file);

	for (const char *name : names)
		in_process(test, [&]() {
			static constexpr unsigned int room = 4096;
			auto buffer = KvArray<char>::allocate(room);
			char path[32];

			scnprintf(path, sizeof(path), "/proc/self/%s", name);
			fail_each(
				test, no_memory, [&]() { return buffer.data != nullptr; },
				[&]() { return aufs_test_read(path, buffer.data, room); },
				[&](long, bool, bool) {
					/* One for the test's mapping, one for this process's. */
					EXPECT_COUNTS(test, *setup.file, 2);
					OBSERVERS(test, "self")
						.maps(name, {addr, pages, 0, "rw-s", *setup.file,
							     identity, "/union/file"});
				});
		});
	space.end();
	EXPECT_COUNTS(test, *setup.file, 0);
}
