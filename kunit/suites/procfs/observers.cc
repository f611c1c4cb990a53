// SPDX-License-Identifier: GPL-2.0-only
/* Other observers of a process's mappings: its core dump, the log, perf, BPF, and its exe file. */
#include "mmap/branch_file.hh"
#include "support/program.hh"
#include "support/show.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "procfs.cases"
#undef CASE
}

using namespace aufs;
using namespace aufs::test;

namespace
{

constexpr unsigned int pages = ShowSetup::pages;

/* The addresses at which cases map, in the address space of a program that was just executed. */
constexpr unsigned long first_addr = 0x10000000;
constexpr unsigned long second_addr = 0x11000000;

/* All shared mappings whose file has no name left, and nothing else: core(5). */
constexpr char dump_unlinked[] = "0x2";

} // namespace

CASE_BODY(show_core_files)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;
	if (!Core::possible())
		return aufs_test_skip(test, "there are no core dumps of ELF programs");

	Program program(test, "/union/program");
	auto other = setup.mount.make("/union/other name", pages);

	if (!program.ok() || !other)
		return;
	EXPECT_EQ(test, aufs_test_rename("/union/file", "/union/renamed"), 0);

	int status = program.run([&]() {
		EXPECT_EQ(test,
			  map(*setup.file, 3, 2, PROT_READ, MAP_SHARED | MAP_FIXED, first_addr),
			  first_addr);
		EXPECT_EQ(test, map(*other, 4, 1, PROT_READ, MAP_PRIVATE | MAP_FIXED, second_addr),
			  second_addr);
	});

	if (!EXPECT(test, status > 0 && (status & core_dumped)))
		return;

	Core core(test);

	EXPECT(test, core.has_file(Program::base, 1, 0, "/union/program"));
	EXPECT(test, core.has_file(first_addr, 3, 2, "/union/renamed"));
	EXPECT(test, core.has_file(second_addr, 4, 1, "/union/other name"));
	EXPECT_EQ(test, core.files(), 3);
}

/* The reported file may be one that a stacked filesystem has opened for its user. */
CASE_BODY(show_core_of_overlay)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;
	if (!Core::possible() || !Overlay::possible())
		return aufs_test_skip(test, "there are no core dumps or no overlayfs");

	Program program(test, "/union/program");
	Overlay overlay(test, "lowerdir=/union:/branches/none");

	if (!program.ok() || !overlay.ok())
		return;

	auto file = setup.mount.open("/overlay/file", O_RDONLY);

	if (!file)
		return;

	int status = program.run([&]() {
		EXPECT_EQ(test, map(*file, 3, 2, PROT_READ, MAP_SHARED | MAP_FIXED, first_addr),
			  first_addr);
	});

	if (!EXPECT(test, status > 0 && (status & core_dumped)))
		return;
	EXPECT(test, Core(test).has_file(first_addr, 3, 2, "/overlay/file"));
}

/*
 * A shared mapping is in a core if the reported file has no name. The union's file has a name as long as the branch's
 * has. So the mapping reports a third file here, to tell them apart.
 */
CASE_BODY(show_core_of_unlinked)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;
	if (!Core::possible())
		return aufs_test_skip(test, "there are no core dumps of ELF programs");

	Program program(test, "/union/program");
	auto linked = setup.mount.make("/branches/rw/linked", pages);
	auto unlinked = setup.mount.make("/branches/rw/unlinked", pages);

	if (!program.ok() || !linked || !unlinked)
		return;
	EXPECT_EQ(test, aufs_test_unlink("/branches/rw/unlinked"), 0);

	int status = program.run([&]() {
		EXPECT_EQ(test, map(*linked, 3, 0, PROT_READ, MAP_SHARED | MAP_FIXED, first_addr),
			  first_addr);
		EXPECT_EQ(test,
			  map(*unlinked, 4, 0, PROT_READ, MAP_SHARED | MAP_FIXED, second_addr),
			  second_addr);
		report(aufs_test_current_mm(), first_addr, *unlinked);
		report(aufs_test_current_mm(), second_addr, *linked);
		EXPECT(test, aufs_test_write("/proc/self/coredump_filter", dump_unlinked) > 0);
	});

	if (!EXPECT(test, status > 0 && (status & core_dumped)))
		return;

	Core core(test);

	EXPECT_EQ(test, core.dumped(first_addr), 3 * PAGE_SIZE);
	EXPECT_EQ(test, core.dumped(second_addr), 0);
	EXPECT(test, core.has_file(first_addr, 3, 0, "/branches/rw/unlinked (deleted)"));
	EXPECT(test, core.has_file(second_addr, 4, 0, "/branches/rw/linked"));
	/* The core dump has put its references. */
	flush_delayed_fput();
	EXPECT_EQ(test, aufs_test_file_count(linked.get()), 1);
	EXPECT_EQ(test, aufs_test_file_count(unlinked.get()), 1);
}

namespace
{

/* Whether a log line says that page 1 of the mapping at @addr is of "file". 6.1 does not log the offset. */
bool is_logged(const char *prefix, unsigned long addr)
{
	char long_form[96];
	char short_form[96];

	scnprintf(long_form, sizeof(long_form), "%s file[%lx,%lx+%lx]", prefix, PAGE_SIZE + 1, addr,
		  pages * PAGE_SIZE);
	scnprintf(short_form, sizeof(short_form), "%s file[%lx+%lx]", prefix, addr,
		  pages * PAGE_SIZE);
	return aufs_test_is_logged(long_form) || aufs_test_is_logged(short_form);
}

} // namespace

/* The branch file has the name of the union's. So the mapping reports a third file here, to tell them apart. */
CASE_BODY(show_in_the_log)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;
	if (!aufs_test_has_mmu())
		return aufs_test_skip(test, "without an MMU, the log has no mappings");

	auto other = setup.mount.make("/branches/rw/other", pages);

	if (!other)
		return;

	unsigned long first = MAP(test, *setup.file, pages);
	unsigned long second = MAP(test, *other, pages);

	report(setup.space.mm(), second, *setup.file);
	aufs_test_print_vma_addr("first ", first + PAGE_SIZE + 1);
	aufs_test_print_vma_addr("second ", second + PAGE_SIZE + 1);
	EXPECT(test, is_logged("first", first));
	EXPECT(test, is_logged("second", second));
	setup.space.end();
	EXPECT_EQ(test, aufs_test_file_count(other.get()), 1);
}

/* A process cannot change its exe file while it maps the old one. */
CASE_BODY(show_program_is_mapped)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;
	/* A program must not be open for writing. */
	setup.file = {};
	for (int level = 0; level < 2; ++level)
		flush_delayed_fput();

	auto program = setup.mount.open("/union/file", O_RDONLY);

	if (!program)
		return;

	struct file *branchs = &h_file_of(*program);

	unsigned long addr = MAP(test, *program, pages, 0, PROT_READ, MAP_PRIVATE);

	EXPECT_EQ(test, set_mm_exe_file(setup.space.mm(), program.get()), 0);
	EXPECT_EQ(test, replace_mm_exe_file(setup.space.mm(), branchs), -EBUSY);
	EXPECT_EQ(test, vm_munmap(addr, pages * PAGE_SIZE), 0);
	/* Now the exe file is the branch file that serves the first program. */
	EXPECT_EQ(test, replace_mm_exe_file(setup.space.mm(), branchs), 0);
	addr = MAP(test, *program, pages, 0, PROT_READ, MAP_PRIVATE);
	/* The mapping is served by that file, but reports another one. */
	EXPECT_EQ(test, replace_mm_exe_file(setup.space.mm(), program.get()), 0);
	setup.space.end();
	EXPECT_COUNTS(test, *program, 0);
}

CASE_BODY(show_perf_record)
{
	ShowSetup setup(test);
	bool there = true;

	if (!setup.ok())
		return;

	ShownIdentity identity = stat_of(test, *setup.file);

	in_process(test, [&]() {
		struct aufs_test_perf_mapping record;
		long ring = aufs_test_perf_start();

		there = ring != -EOPNOTSUPP;
		if (!there || !EXPECT(test, is_address(ring)))
			return;

		unsigned long addr = MAP(test, *setup.file, 3, 2, PROT_READ | PROT_EXEC);

		if (!EXPECT_EQ(test,
			       aufs_test_perf_find(static_cast<unsigned long>(ring), addr, &record),
			       0))
			return;
		EXPECT_EQ(test, record.len, 3 * PAGE_SIZE);
		EXPECT_EQ(test, record.offset, 2 * PAGE_SIZE);
		EXPECT_EQ(test, record.major, major_of(identity.dev));
		EXPECT_EQ(test, record.minor, minor_of(identity.dev));
		EXPECT_EQ(test, record.ino, identity.ino);
		EXPECT_EQ(test, record.prot, PROT_READ | PROT_EXEC);
		EXPECT_EQ(test, record.flags, MAP_SHARED);
		EXPECT(test, StringView::from_c_string(record.path) == "/union/file");
	});
	if (!there)
		aufs_test_skip(test, "there is no perf");
}

/* perf chooses mappings by the name of a file, for new and for existing mappings. */
CASE_BODY(show_perf_filter)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;

	int err = aufs_test_perf_tracer(true);

	if (err == -EOPNOTSUPP)
		return aufs_test_skip(test, "there is no perf");
	if (!EXPECT_EQ(test, err, 0))
		return;
	in_process(test, [&]() {
		unsigned long size = 0;
		struct file *event = aufs_test_perf_filter("filter 0x2000/0x1000@/union/file");

		if (!EXPECT(test, !is_error(event)))
			return;
		EXPECT_EQ(test, aufs_test_perf_filtered(event, &size), 0);

		unsigned long addr = MAP(test, *setup.file, 4, 1, PROT_READ | PROT_EXEC);

		EXPECT_EQ(test, aufs_test_perf_filtered(event, &size), addr + PAGE_SIZE);
		EXPECT_EQ(test, size, PAGE_SIZE);
		event = aufs_test_perf_filter("filter 0x3000/0x1000@/union/file");
		if (!EXPECT(test, !is_error(event)))
			return;
		EXPECT_EQ(test, aufs_test_perf_filtered(event, &size), addr + 2 * PAGE_SIZE);
	});
	aufs_test_perf_tracer(false);
}

CASE_BODY(show_trace)
{
	ShowSetup setup(test);
	int err = 0;

	if (!setup.ok())
		return;
	in_process(test, [&]() {
		char text[128] = "";
		unsigned long addr = MAP(test, *setup.file, pages);

		err = aufs_test_trace_user_addr(addr + PAGE_SIZE + 1, text, sizeof(text));
		if (err)
			return;
		if (!EXPECT(test, StringView::from_c_string(text) ==
					  "<user stack trace>\n => /union/file[+0x1001]\n"))
			aufs_test_info(test, "it is: %s", text);
	});
	if (err == -EOPNOTSUPP)
		return aufs_test_skip(test, "there are no traces");
	EXPECT_EQ(test, err, 0);
}

/* A BPF program gets the reported file, which stays while the program uses it. */
CASE_BODY(show_bpf)
{
	struct Seen {
		struct kunit *test;
		struct file &file;
		unsigned long addr;
		unsigned int mappings;
	};
	ShowSetup setup(test);
	int err = 0;

	if (!setup.ok())
		return;
	in_process(test, [&]() {
		Seen seen{test, *setup.file, MAP(test, *setup.file, pages), 0};
		auto look = [](const struct vm_area_struct *copy, void *data) {
			auto *to = static_cast<Seen *>(data);

			if (copy->vm_start != to->addr)
				return;
			++to->mappings;
			EXPECT(to->test, copy->vm_file == &to->file);
			EXPECT(to->test, copy->vm_prfile == nullptr);
			EXPECT_EQ(to->test, aufs_test_file_count(&to->file), 3);
			EXPECT_EQ(to->test, aufs_test_file_count(&h_file_of(to->file)), 2);
		};

		err = aufs_test_bpf_each_vma(look, &seen);
		if (err)
			return;
		EXPECT_EQ(test, seen.mappings, 1);
		EXPECT_COUNTS(test, *setup.file, 1);
	});
	if (err == -EOPNOTSUPP)
		return aufs_test_skip(test, "there is no BPF that walks over mappings");
	EXPECT_EQ(test, err, 0);
}
