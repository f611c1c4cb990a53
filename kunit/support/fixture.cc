// SPDX-License-Identifier: GPL-2.0-only
#include "fixture.hh"
#include "mmap/branch_file.hh"

namespace aufs::test
{

namespace
{

/* Waits for references that kernel threads put. */
void settle()
{
	flush_delayed_fput();
}

struct Sought {
	const struct file *vm_file;
	const struct file *prfile;
	unsigned int both;
	unsigned int any;
};

void look(struct vm_area_struct *vma, void *data)
{
	auto *sought = static_cast<Sought *>(data);
	bool serves = vma->vm_file == sought->vm_file;
	bool reports = vma->vm_prfile == sought->prfile;

	sought->both += serves && reports;
	sought->any += (sought->vm_file && serves) || (sought->prfile && reports);
}

Sought look_for(struct mm_struct *mm, const struct file *vm_file, const struct file *prfile)
{
	Sought sought{vm_file, prfile, 0, 0};

	aufs_test_each_vma(mm, look, &sought);
	return sought;
}

} // namespace

Union::Union(struct kunit *test) : test_(test)
{
	static const char options[] = "br=/branches/rw=rw:/branches/ro=ro";

	settle();
	tmpfs_ = aufs_test_supers("tmpfs");
	aufs_ = aufs_test_supers("aufs");
	EXPECT_EQ(test, aufs_, 0);
	if (!EXPECT_EQ(test, aufs_test_mkdir(branches), 0) ||
	    !EXPECT_EQ(test, aufs_test_mkdir(at), 0) ||
	    !EXPECT_EQ(test, aufs_test_mount("none", branches, "tmpfs", nullptr), 0))
		return;
	branches_mounted_ = true;
	if (!EXPECT_EQ(test, aufs_test_mkdir("/branches/rw"), 0) ||
	    !EXPECT_EQ(test, aufs_test_mkdir("/branches/ro"), 0) ||
	    !EXPECT_EQ(test, aufs_test_mount("none", at, "aufs", options), 0))
		return;
	mounted_ = true;
	ok_ = true;
}

Union::~Union()
{
	settle();
	if (mounted_)
		EXPECT_EQ(test_, aufs_test_umount(at), 0);
	if (branches_mounted_)
		EXPECT_EQ(test_, aufs_test_umount(branches), 0);
	/* Kernel threads finish an unmount a tick later. */
	for (int tries = 0; tries < 100; ++tries) {
		settle();
		if (aufs_test_supers("aufs") == aufs_ && aufs_test_supers("tmpfs") == tmpfs_)
			break;
		aufs_test_sleep(10);
	}
	EXPECT_EQ(test_, aufs_test_supers("aufs"), aufs_);
	EXPECT_EQ(test_, aufs_test_supers("tmpfs"), tmpfs_);
}

Ref<struct file> Union::open(const char *path, int flags)
{
	struct file *file = filp_open(path, flags, 0644);

	if (!EXPECT(test_, !is_error(file)))
		return {};
	return Ref<struct file>::adopt(file);
}

Ref<struct file> Union::make(const char *path, unsigned int pages, unsigned long first)
{
	Ref<struct file> file = open(path, O_RDWR | O_CREAT);

	/* Without an MMU a file can only be mapped if it is in one piece: it gets its size at once. */
	if (file)
		EXPECT_EQ(test_,
			  aufs_test_truncate(&file->f_path, static_cast<loff_t>(pages * PAGE_SIZE)),
			  0);
	for (unsigned long page = 0; file && page < pages; ++page) {
		loff_t at = static_cast<loff_t>(page) * static_cast<loff_t>(PAGE_SIZE);
		unsigned long word = first + page;
		char last = 0;

		EXPECT_EQ(test_, kernel_write(file.get(), &word, sizeof(word), &at), sizeof(word));
		at = static_cast<loff_t>((page + 1) * PAGE_SIZE - 1);
		EXPECT_EQ(test_, kernel_write(file.get(), &last, 1, &at), 1);
	}
	return file;
}

AddressSpace::AddressSpace(struct kunit *test)
{
	struct mm_struct *mm = aufs_test_enter_new_mm();

	if (EXPECT(test, !is_error(mm)))
		mm_ = mm;
}

void AddressSpace::end()
{
	struct mm_struct *mm = cxxrt::exchange(mm_, nullptr);

	if (!mm)
		return;
	aufs_test_leave_mm(mm);
	aufs_test_put_mm(mm);
}

unsigned int mappings_of(struct mm_struct *mm, const struct file &file)
{
	return look_for(mm, &h_file_of(file), &file).both;
}

unsigned int uses_of(struct mm_struct *mm, const struct file &file)
{
	return look_for(mm, &file, &file).any;
}

bool expect_counts(struct kunit *test, const struct file &file, long mappings, const char *source,
		   int line, long regions)
{
	bool users = expect_equal(test, aufs_test_file_count(&file), 1 + mappings + regions,
				  "references of the union's file", source, line);
	bool branchs = expect_equal(test, aufs_test_file_count(&h_file_of(file)), 1 + mappings,
				    "references of the branch file", source, line);

	return users && branchs;
}

unsigned long mapped(struct kunit *test, long result, const char *source, int line)
{
	if (is_address(result))
		return static_cast<unsigned long>(result);
	aufs_test_fail(test, source, line, "no mapping: error %ld", result);
	return 0;
}

} // namespace aufs::test
