// SPDX-License-Identifier: GPL-2.0-only
/* The bookkeeping by itself, on mappings that are made up. */
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

/* A file that nobody else knows, so that its count tells. */
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

/* All that is promised of a mapping, for each kind of it. */
template <Mapping M> void check_bookkeeping(struct kunit *test)
{
	Files files(test);
	M first{};
	M second{};

	if (!files.ok())
		return;

	/* None yet: it reports what serves it, and puts nothing. */
	EXPECT(test, reported_file(first) == nullptr);
	first.vm_file = files.served.get();
	EXPECT(test, reported_file(first) == files.served.get());
	prfile_copied(first);
	EXPECT(test, first.vm_prfile == nullptr);
	put_prfile(first);
	EXPECT(test, files.counts(1, 1));

	/* Set: one reference, and put with the next one. */
	set_prfile(first, files.a.clone());
	EXPECT(test, reported_file(first) == files.a.get());
	EXPECT(test, files.counts(2, 1));
	set_prfile(first, files.b.clone());
	EXPECT(test, reported_file(first) == files.b.get());
	EXPECT(test, files.counts(1, 2));
	set_prfile(first, files.b.clone());
	EXPECT(test, reported_file(first) == files.b.get());
	EXPECT(test, files.counts(1, 2));

	/* A copy takes its own; each puts its own. */
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
	/* What is put has nothing left to put. */
	put_prfile(first);
	EXPECT(test, files.counts(1, 2));
	put_prfile(second);
	EXPECT(test, files.counts(1, 1));

	/* Merging: they agree when both have the same, or neither has one. */
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

/* The branch's ->mmap is a union's as well, and has set a prfile of its own. */
int sets_a_prfile(struct file *file, struct vm_area_struct *vma)
{
	set_prfile(*vma, Ref<struct file>::retain(file));
	return 0;
}

/*
 * Maps with a branch file whose ->mmap is @mmap into a made-up vma, as mmap(2) would: vm_file is the
 * user's file, and what the vma has is put at the end, by the kernel's own function.
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

/* The same by way of the kernel's sites: that they find this module. */
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

/* No filesystem's ->mmap does that to a regular file, but what it is done to may have a prfile. */
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
	/* Who is not registered cannot end it for who is. */
	vm_prfile_unregister(&other);
	prfile_is_what_the_kernel_asks_for(test);
}

CASE_BODY(prfile_map_sets_both_files)
{
	/* tmpfs wants a whole vma, of an mm; what fails and what nests does not. */
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

	/* A plain file is its own user's. */
	set_prfile(vma, file.clone());
	EXPECT(test, reported_path(vma).dentry == file->f_path.dentry);
	EXPECT(test, &reported_inode(vma) == file->f_inode);
	put_prfile(vma);
}
