// SPDX-License-Identifier: GPL-2.0-only
/* The bookkeeping alone, on constructed mappings. */
#include "mmap/mapping.hh"
#include "mmap/branch_file.hh"
#include "support/fixture.hh"
#include "mmap/prfile.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "prfile.cases"
#undef CASE
}

namespace aufs::test
{

namespace
{

/* A file that nobody else knows, so its count is exact. */
Ref<struct file> some_file(struct kunit *test)
{
	struct file *file = filp_open("/", O_RDONLY | O_DIRECTORY, 0);

	return EXPECT(test, !is_error(file)) ? Ref<struct file>::adopt(file) : Ref<struct file>();
}

struct Files {
	Ref<struct file> served;
	Ref<struct file> a;
	Ref<struct file> b;

	explicit Files(struct kunit *test)
		: served(some_file(test)), a(some_file(test)), b(some_file(test))
	{
	}
	bool ok() const
	{
		return served && a && b;
	}
	bool counts(long of_a, long of_b) const
	{
		return aufs_test_file_count(a.get()) == of_a &&
		       aufs_test_file_count(b.get()) == of_b &&
		       aufs_test_file_count(served.get()) == 1;
	}
};

/* All promises about a mapping, for each kind of mapping. */
template <Mapping M> void check_bookkeeping(struct kunit *test)
{
	Files files(test);
	M first{};
	M second{};

	if (!files.ok())
		return;

	/* No prfile yet: the mapping reports the file that serves it, and puts nothing. */
	EXPECT(test, reported_file(first) == nullptr);
	first.vm_file = files.served.get();
	EXPECT(test, reported_file(first) == files.served.get());
	prfile_copied(first);
	EXPECT(test, first.vm_prfile == nullptr);
	put_prfile(first);
	EXPECT(test, files.counts(1, 1));

	/* With a prfile: there is one reference, which is put when another is set. */
	set_prfile(first, files.a.clone());
	EXPECT(test, reported_file(first) == files.a.get());
	EXPECT(test, files.counts(2, 1));
	set_prfile(first, files.b.clone());
	EXPECT(test, reported_file(first) == files.b.get());
	EXPECT(test, files.counts(1, 2));
	set_prfile(first, files.b.clone());
	EXPECT(test, reported_file(first) == files.b.get());
	EXPECT(test, files.counts(1, 2));

	/* A copy takes a reference of its own, and each puts its own. */
	second.vm_file = first.vm_file;
	second.vm_prfile = first.vm_prfile;
	prfile_copied(second);
	EXPECT(test, files.counts(1, 3));
	EXPECT(test, reported_file(second) == files.b.get());
	put_prfile(first);
	EXPECT(test, files.counts(1, 2));
	EXPECT(test, first.vm_prfile == nullptr);
	EXPECT(test, first.vm_file == files.served.get());
	EXPECT(test, reported_file(second) == files.b.get());
	/* A second put does nothing. */
	put_prfile(first);
	EXPECT(test, files.counts(1, 2));
	put_prfile(second);
	EXPECT(test, files.counts(1, 1));

	/* Merging: two mappings agree if both have the same prfile, or none. */
	EXPECT(test, prfile_agrees(first, nullptr));
	EXPECT(test, !prfile_agrees(first, files.a.get()));
	set_prfile(first, files.a.clone());
	EXPECT(test, prfile_agrees(first, files.a.get()));
	EXPECT(test, !prfile_agrees(first, files.b.get()));
	EXPECT(test, !prfile_agrees(first, nullptr));
	EXPECT(test, files.counts(2, 1));
	put_prfile(first);
	EXPECT(test, files.counts(1, 1));
}

int fails(struct file *, struct vm_area_struct *)
{
	return -EIO;
}

/* ->mmap of a branch that is a union, which sets a prfile of its own. */
int sets_a_prfile(struct file *file, struct vm_area_struct *vma)
{
	set_prfile(*vma, Ref<struct file>::retain(file));
	return 0;
}

/*
 * Maps by a branch file with the ->mmap @mmap into a constructed vma, as mmap(2) would. vm_file is the user's file
 * first. The kernel's own function puts the vma's files at the end.
 */
template <class Check>
void with_branch_mmap(struct kunit *test, int (*mmap)(struct file *, struct vm_area_struct *),
		      Check &&check_it)
{
	Union mount(test);

	if (!mount.ok())
		return;

	auto file = mount.make("/union/file", 1);

	if (!file)
		return;

	struct file &branch = h_file_of(*file);
	const struct ::file_operations *own = branch.f_op;
	struct ::file_operations replaced = *own;
	struct vm_area_struct vma{};

	set_mmap(replaced, mmap);
	branch.f_op = &replaced;
	vma.vm_file = file.clone().leak();
	check_it(*file, branch, vma, prfile::map(*file, branch, vma).error());
	branch.f_op = own;
	EXPECT_EQ(test, aufs_test_file_count(file.get()),
		  1 + (vma.vm_file == file.get()) + (vma.vm_prfile == file.get()));
	EXPECT_EQ(test, aufs_test_file_count(&branch), 1 + (vma.vm_file == &branch));
	aufs_test_vma_put_file(&vma);
	EXPECT(test, vma.vm_prfile == nullptr);
	EXPECT_COUNTS(test, *file, 0);
}

} // namespace

} // namespace aufs::test

using namespace aufs;
using namespace aufs::test;

CASE_BODY(prfile_of_a_vma)
{
	check_bookkeeping<struct vm_area_struct>(test);
}

CASE_BODY(prfile_of_a_region)
{
	check_bookkeeping<struct vm_region>(test);
}

/* The same by the kernel's sites, which have to find this module. */
CASE_BODY(prfile_is_what_the_kernel_asks_for)
{
	Files files(test);
	struct vm_area_struct vma{};
	struct vm_region region{};

	if (!files.ok())
		return;
	vma.vm_file = files.served.clone().leak();
	EXPECT(test, aufs_test_vma_reported_file(&vma) == files.served.get());
	set_prfile(vma, files.a.clone());
	EXPECT(test, aufs_test_vma_reported_file(&vma) == files.a.get());
	EXPECT(test, aufs_test_vma_may_merge(&vma, files.a.get()));
	EXPECT(test, !aufs_test_vma_may_merge(&vma, files.b.get()));
	EXPECT(test, !aufs_test_vma_may_merge(&vma, nullptr));
	aufs_test_vma_get_file(&vma);
	EXPECT_EQ(test, aufs_test_file_count(files.a.get()), 3);
	EXPECT_EQ(test, aufs_test_file_count(files.served.get()), 3);
	aufs_test_vma_put_file(&vma);
	EXPECT(test, vma.vm_prfile == nullptr);
	EXPECT_EQ(test, aufs_test_file_count(files.a.get()), 2);
	EXPECT_EQ(test, aufs_test_file_count(files.served.get()), 2);
	vma.vm_prfile = files.a.get();
	aufs_test_vma_put_file(&vma);
	EXPECT(test, files.counts(1, 1));

	region.vm_file = files.served.clone().leak();
	EXPECT(test, aufs_test_region_reported_file(&region) == files.served.get());
	set_prfile(region, files.b.clone());
	EXPECT(test, aufs_test_region_reported_file(&region) == files.b.get());
	aufs_test_region_put_file(&region);
	EXPECT(test, region.vm_prfile == nullptr);
	EXPECT(test, files.counts(1, 1));
}

/* No filesystem's ->mmap does this to a regular file, but the vma may have a prfile. */
CASE_BODY(prfile_goes_when_memory_comes)
{
	Files files(test);
	struct vm_area_struct vma{};

	if (!files.ok())
		return;
	vma.vm_end = PAGE_SIZE;
	vma.vm_file = files.served.clone().leak();
	set_prfile(vma, files.a.clone());
	EXPECT_EQ(test, shmem_zero_setup(&vma), 0);
	EXPECT(test, vma.vm_file != files.served.get());
	EXPECT(test, vma.vm_prfile == nullptr);
	EXPECT(test, files.counts(1, 1));
	aufs_test_vma_put_file(&vma);
}

CASE_BODY(prfile_registers_once)
{
	struct vm_prfile_ops other = aufs_prfile_ops;

	EXPECT_EQ(test, vm_prfile_register(&other), -EBUSY);
	/* A module that is not registered cannot unregister the registered one. */
	vm_prfile_unregister(&other);
	prfile_is_what_the_kernel_asks_for(test);
}

CASE_BODY(prfile_map_sets_both_files)
{
	/* tmpfs needs a whole vma of an mm; the cases that fail or nest do not. */
	auto succeeds = [](struct file *, struct vm_area_struct *) {
		return 0;
	};

	with_branch_mmap(test, succeeds,
			 [test](struct file &user, struct file &branch, struct vm_area_struct &vma,
				int error) {
				 EXPECT_EQ(test, error, 0);
				 EXPECT(test, vma.vm_file == &branch);
				 EXPECT(test, vma.vm_prfile == &user);
			 });
}

CASE_BODY(prfile_map_of_a_branch_without_mmap)
{
	with_branch_mmap(test, nullptr,
			 [test](struct file &user, struct file &, struct vm_area_struct &vma,
				int error) {
				 EXPECT_EQ(test, error, -ENODEV);
				 EXPECT(test, vma.vm_file == &user);
				 EXPECT(test, vma.vm_prfile == nullptr);
			 });
}

CASE_BODY(prfile_map_of_a_branch_that_fails)
{
	with_branch_mmap(test, fails,
			 [test](struct file &user, struct file &, struct vm_area_struct &vma,
				int error) {
				 EXPECT_EQ(test, error, -EIO);
				 EXPECT(test, vma.vm_file == &user);
				 EXPECT(test, vma.vm_prfile == nullptr);
			 });
}

CASE_BODY(prfile_map_replaces_an_inner_prfile)
{
	with_branch_mmap(test, sets_a_prfile,
			 [test](struct file &user, struct file &branch, struct vm_area_struct &vma,
				int error) {
				 EXPECT_EQ(test, error, 0);
				 EXPECT(test, vma.vm_file == &branch);
				 EXPECT(test, vma.vm_prfile == &user);
			 });
}

/* A prfile may be what another stacked filesystem opened for its own user. */
CASE_BODY(prfile_reports_the_user_of_an_inner_file)
{
	Union mount(test);

	if (!mount.ok())
		return;

	auto user = mount.make("/branches/user", 1);
	auto file = mount.make("/union/file", 1);

	if (!user || !file)
		return;

	auto inner = Ref<struct file>::adopt(aufs_test_inner_file(user.get(), file.get()));
	struct vm_area_struct vma{};

	if (!EXPECT(test, !is_error(inner.get()))) {
		(void)inner.leak();
		return;
	}
	vma.vm_file = &h_file_of(*file);
	set_prfile(vma, inner.clone());
	EXPECT(test, reported_file(vma) == inner.get());
	EXPECT(test, reported_path(vma).dentry == user->f_path.dentry);
	EXPECT(test, reported_path(vma).mnt == user->f_path.mnt);
	EXPECT(test, &reported_inode(vma) == user->f_inode);
	put_prfile(vma);

	/* A plain file is its own user's file. */
	set_prfile(vma, file.clone());
	EXPECT(test, reported_path(vma).dentry == file->f_path.dentry);
	EXPECT(test, &reported_inode(vma) == file->f_inode);
	put_prfile(vma);
}
