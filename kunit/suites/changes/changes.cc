// SPDX-License-Identifier: GPL-2.0-only
/* Mappings of a union whose list of branches changes, with an MMU and without. */
#include "support/program.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "changes.cases"
#undef CASE
}

using namespace aufs;
using namespace aufs::test;

namespace
{

constexpr unsigned int pages = 4;

/* Without an MMU the region of each mapping has the file as well (region/region.hh). */
#define EXPECT_COUNTS_HERE(kunit, file, mappings)                                                  \
	expect_counts((kunit), (file), (mappings), __FILE__, __LINE__,                             \
		      aufs_test_has_mmu() ? 0 : (mappings))

/* Makes a file on a branch of its own. The first word of each page is @first plus the page's number. */
bool make_module(struct kunit *test, Union &mount, const char *dir, const char *path,
		 unsigned long first)
{
	return EXPECT_EQ(test, aufs_test_mkdir(dir), 0) && mount.make(path, pages, first);
}

/* A union with one module more, which has an open file. */
struct Setup {
	Union mount;
	Ref<struct file> file;
	AddressSpace space;

	explicit Setup(struct kunit *test) : mount(test), space(test)
	{
		if (!mount.ok() ||
		    !make_module(test, mount, "/branches/old", "/branches/old/module", 10) ||
		    !EXPECT_EQ(test, aufs_test_change(Union::at, "add:1:/branches/old"), 0))
			return;
		file = mount.open("/union/module", O_RDONLY);
	}
	bool ok() const
	{
		return file && space.ok();
	}
};

unsigned long map_file(struct kunit *test, const struct file &file)
{
	return MAP(test, file, pages, 0, PROT_READ, MAP_SHARED);
}

void expect_word(struct kunit *test, unsigned long addr, unsigned long page, unsigned long word)
{
	unsigned long found = 0;

	EXPECT_EQ(test, aufs_test_read_user(addr + page * PAGE_SIZE, &found, sizeof(found)), 0);
	EXPECT_EQ(test, found, word);
}

} // namespace

CASE_BODY(changes_refused)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = map_file(test, *setup.file);
	struct file *file = setup.file.get();

	EXPECT_COUNTS_HERE(test, *file, 1);
	EXPECT_EQ(test, aufs_test_change(Union::at, "del:/branches/old"), -EBUSY);
	EXPECT_COUNTS_HERE(test, *file, 1);
	expect_word(test, addr, 1, 11);
	/* Only the mapping is left. */
	setup.file = {};
	EXPECT_EQ(test, aufs_test_change(Union::at, "del:/branches/old"), -EBUSY);
	EXPECT_EQ(test, mappings_of(setup.space.mm(), *file), 1);
	expect_word(test, addr, 3, 13);
	setup.space.end();
	EXPECT_EQ(test, aufs_test_change(Union::at, "del:/branches/old"), 0);
	EXPECT(test, !aufs_test_exists("/union/module"));
}

CASE_BODY(changes_detached)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = map_file(test, *setup.file);
	struct file &file = *setup.file;

	EXPECT_EQ(test, aufs_test_change(Union::at, "detach:/branches/old"), 0);
	EXPECT(test, !aufs_test_exists("/union/module"));
	EXPECT_COUNTS_HERE(test, file, 1);
	EXPECT_EQ(test, mappings_of(setup.space.mm(), file), 1);
	expect_word(test, addr, 2, 12);
#ifdef CONFIG_MMU
	/* Mappings that are made of this one later have both files, too. */
	EXPECT_EQ(test, aufs_test_mprotect(addr + PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	EXPECT_COUNTS_HERE(test, file, 3);

	struct mm_struct *copy = aufs_test_fork_mm();

	if (EXPECT(test, !is_error(copy))) {
		EXPECT_EQ(test, mappings_of(copy, file), 3);
		EXPECT_COUNTS_HERE(test, file, 6);
		aufs_test_put_mm(copy);
	}
	EXPECT_COUNTS_HERE(test, file, 3);
	EXPECT_EQ(test, aufs_test_mprotect(addr + PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
	EXPECT_COUNTS_HERE(test, file, 1);
#endif
	setup.space.end();
	EXPECT_COUNTS_HERE(test, file, 0);
}

/* A new branch has a file by that name. A mapping of the old file goes on reporting the old one. */
CASE_BODY(changes_hidden)
{
	Setup setup(test);

	if (!setup.ok() ||
	    !make_module(test, setup.mount, "/branches/new", "/branches/new/module", 20))
		return;

	unsigned long addr = map_file(test, *setup.file);

	EXPECT_EQ(test, aufs_test_change(Union::at, "add:1:/branches/new"), 0);

	auto file = setup.mount.open("/union/module", O_RDONLY);

	if (!file)
		return;
	EXPECT(test, file->f_inode != setup.file->f_inode);

	unsigned long other = map_file(test, *file);

	expect_word(test, addr, 1, 11);
	expect_word(test, other, 1, 21);
	EXPECT_COUNTS_HERE(test, *setup.file, 1);
	EXPECT_COUNTS_HERE(test, *file, 1);
	EXPECT_EQ(test, aufs_test_change(Union::at, "del:/branches/new"), -EBUSY);
	EXPECT_EQ(test, aufs_test_change(Union::at, "del:/branches/old"), -EBUSY);
	EXPECT_EQ(test, mappings_of(setup.space.mm(), *setup.file), 1);
	EXPECT_EQ(test, mappings_of(setup.space.mm(), *file), 1);
	EXPECT_EQ(test, vm_munmap(other, pages * PAGE_SIZE), 0);
	file = {};
	EXPECT_EQ(test, aufs_test_change(Union::at, "del:/branches/new"), 0);
	/* The name leads to the old file again. */
	file = setup.mount.open("/union/module", O_RDONLY);
	if (file)
		EXPECT_EQ(test, file->f_inode, setup.file->f_inode);
	file = {};
	EXPECT_COUNTS_HERE(test, *setup.file, 1);
}

/* A program keeps its module in use. When the module is detached, the program is still shown by its path. */
CASE_BODY(changes_executed)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	if (!Core::possible())
		return aufs_test_skip(test, "there are no core dumps of ELF programs");

	Program program(test, "/branches/old/program");

	if (!program.ok())
		return;
	setup.file = {};

	int status = program.run_as("/union/program", [&]() {
		unsigned int both = 0;
		auto look = [](struct vm_area_struct *vma, void *data) {
			if (vma->vm_start == Program::base && vma->vm_prfile &&
			    vma->vm_prfile != vma->vm_file)
				++*static_cast<unsigned int *>(data);
		};

		EXPECT_EQ(test, aufs_test_change(Union::at, "del:/branches/old"), -EBUSY);
		EXPECT_EQ(test, aufs_test_change(Union::at, "detach:/branches/old"), 0);
		EXPECT(test, !aufs_test_exists("/union/program"));
		aufs_test_each_vma(aufs_test_current_mm(), look, &both);
		EXPECT_EQ(test, both, 1);
	});

	EXPECT(test, status > 0 && (status & core_dumped));
	EXPECT(test, Core(test).has_file(Program::base, 1, 0, "/union/program (deleted)"));
}

CASE_BODY(changes_many)
{
	Setup setup(test);

	if (!setup.ok() ||
	    !make_module(test, setup.mount, "/branches/new", "/branches/new/module", 20))
		return;

	unsigned long addr = map_file(test, *setup.file);

	for (unsigned int i = 0; i < 50; i++) {
		EXPECT_EQ(test,
			  aufs_test_change(Union::at,
					   i % 2 ? "append:/branches/new" : "add:1:/branches/new"),
			  0);
		EXPECT_EQ(test,
			  aufs_test_change(Union::at,
					   i % 3 ? "del:/branches/new" : "detach:/branches/new"),
			  0);
	}
	EXPECT_COUNTS_HERE(test, *setup.file, 1);
	EXPECT_EQ(test, mappings_of(setup.space.mm(), *setup.file), 1);
	expect_word(test, addr, 1, 11);
}
