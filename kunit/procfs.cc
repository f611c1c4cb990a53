// SPDX-License-Identifier: GPL-2.0-only
/* What procfs shows of the mappings of a process that maps a union's files. */
#include "file.hh"
#include "mapping.hh"
#include "show.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "procfs.cases"
#undef CASE
}

using namespace aufs;
using namespace aufs::test;

namespace
{

constexpr unsigned int pages = 8;

/* A union with a file of eight pages, an address space, and procfs to look at it. */
struct Setup {
	Union mount;
	Proc proc;
	Ref<struct file> file;
	AddressSpace space;

	explicit Setup(struct kunit *test, const char *path = "/union/file") noexcept
		: mount(test), proc(test),
		  file(mount.ok() ? mount.make(path, pages) : Ref<struct file>()), space(test)
	{
	}
	bool ok() const noexcept
	{
		return file && proc.ok() && space.ok();
	}
};

/* All of @file, shared and writable, is shown as @path with what stat(2) says. */
Shown whole(struct kunit *test, const struct file &file, unsigned long addr,
	    const char *path = "/union/file") noexcept
{
	return {addr, pages, 0, "rw-s", file, stat_of(test, file), path};
}

/* Makes the one mapping at @addr of the current mm report @reported. */
void report(struct mm_struct *mm, unsigned long addr, struct file &reported) noexcept
{
	struct Sought {
		unsigned long addr;
		struct file &reported;
	} sought{addr, reported};
	auto set = [](struct vm_area_struct *vma, void *data) noexcept {
		auto *args = static_cast<Sought *>(data);

		if (vma->vm_start == args->addr)
			set_prfile(*vma, Ref<struct file>::retain(&args->reported));
	};

	aufs_test_each_vma(mm, set, &sought);
}

/* The permissions of the link of a mapping in map_files of the current process; 0: no link. */
umode_t link_mode(unsigned long addr, unsigned long count) noexcept
{
	LinkName link = map_files_name("self", addr, count);
	struct path path;

	if (kern_path(link.text, 0, &path))
		return 0;

	umode_t mode = path.dentry->d_inode->i_mode;

	path_put(&path);
	return mode & S_IRWXUGO;
}

/* Lists a directory, which makes the inodes of what is in it; how many names have a hyphen. */
struct Listing : dir_context {
	unsigned int mappings = 0;

	Listing() noexcept : dir_context{}
	{
		actor = act;
	}
	static bool act(struct dir_context *ctx, const char *name, int size, loff_t, u64,
			unsigned int) noexcept
	{
		for (int i = 0; i < size; ++i)
			static_cast<Listing *>(ctx)->mappings += name[i] == '-';
		return true;
	}
};

unsigned int list(struct kunit *test, const char *path) noexcept
{
	auto dir = adopt_or_error(filp_open(path, O_RDONLY | O_DIRECTORY, 0));
	Listing listing;

	if (EXPECT(test, dir.ok()))
		EXPECT_EQ(test, iterate_dir(dir.value().get(), &listing), 0);
	return listing.mappings;
}

/* An overlay of @lower at /overlay, read-only. */
class Overlay final
{
public:
	Overlay(struct kunit *test, const char *options) noexcept : test_(test)
	{
		mounted_ =
			EXPECT_EQ(test, aufs_test_mkdir("/overlay"), 0) &&
			EXPECT_EQ(test, aufs_test_mkdir("/branches/none"), 0) &&
			EXPECT_EQ(test, aufs_test_mount("none", "/overlay", "overlay", options), 0);
	}
	Overlay(const Overlay &) = delete;
	Overlay &operator=(const Overlay &) = delete;
	~Overlay()
	{
		/* A file of ours puts the one below when it goes, and that one the next. */
		for (int level = 0; level < 3; ++level)
			flush_delayed_fput();
		if (mounted_)
			EXPECT_EQ(test_, aufs_test_umount("/overlay"), 0);
	}
	bool ok() const noexcept
	{
		return mounted_;
	}

private:
	struct kunit *test_;
	bool mounted_ = false;
};

} // namespace

CASE_BODY(show_maps)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long shared = MAP(test, *setup.file, pages);
	unsigned long part = MAP(test, *setup.file, 2, 3, PROT_READ | PROT_EXEC);
	Identity identity = stat_of(test, *setup.file);

	/* The union's own, and not what the branch has. */
	EXPECT_EQ(test, identity.dev, setup.file->f_inode->i_sb->s_dev);
	EXPECT_EQ(test, identity.ino, setup.file->f_inode->i_ino);
	EXPECT(test, identity.dev != h_file_of(*setup.file).f_inode->i_sb->s_dev);
	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self").maps("maps", whole(test, *setup.file, shared));
		OBSERVERS(test, "self")
			.maps("maps", {part, 2, 3, "r-xs", *setup.file, identity, "/union/file"});
		EXPECT_EQ(test, lines_of("/union/file"), 2);
	});
}

CASE_BODY(show_smaps)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	if (!aufs_test_has_mmu())
		return aufs_test_skip(test, "there is no smaps");

	unsigned long addr = MAP(test, *setup.file, pages);

	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self").maps("smaps", whole(test, *setup.file, addr));
	});
}

CASE_BODY(show_numa_maps)
{
	Setup setup(test);
	bool there = true;

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	in_process(test, [&]() noexcept {
		there = OBSERVERS(test, "self").numa_maps(whole(test, *setup.file, addr));
	});
	if (!there)
		aufs_test_skip(test, "there is no numa_maps");
}

CASE_BODY(show_map_files)
{
	Setup setup(test);
	bool there = true;

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	in_process(test, [&]() noexcept {
		there = OBSERVERS(test, "self").map_files(whole(test, *setup.file, addr));
		EXPECT(test, !aufs_test_leads_to(map_files_name("self", addr, pages).text,
						 &h_file_of(*setup.file)));
	});
	if (!there)
		aufs_test_skip(test, "there is no map_files");
}

/*
 * What may be done by a link is what may be done with the reported file. A branch file can do the
 * same, so it takes two other files to see the difference.
 */
CASE_BODY(show_map_files_mode)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	if (!aufs_test_has_mmu())
		return aufs_test_skip(test, "there is no map_files");

	auto served = setup.mount.make("/branches/rw/served", pages);
	auto reader = setup.mount.open("/branches/rw/served", O_RDONLY);
	auto writer = setup.mount.open("/branches/rw/served", O_WRONLY);

	if (!served || !reader || !writer)
		return;

	unsigned long plain = MAP(test, *served, pages);
	unsigned long looked_up = MAP(test, *reader, 3, 0, PROT_READ);
	unsigned long listed = MAP(test, *reader, 4, 0, PROT_READ);

	report(setup.space.mm(), looked_up, *writer);
	report(setup.space.mm(), listed, *writer);
	in_process(test, [&]() noexcept {
		EXPECT_EQ(test, link_mode(plain, pages), S_IRUSR | S_IWUSR);
		EXPECT_EQ(test, link_mode(looked_up, 3), S_IWUSR);
		EXPECT_EQ(test, list(test, "/proc/self/map_files"), 3);
		EXPECT_EQ(test, link_mode(listed, 4), S_IWUSR);
	});
	setup.space.end();
	EXPECT_EQ(test, aufs_test_file_count(served.get()), 1);
	EXPECT_EQ(test, aufs_test_file_count(reader.get()), 1);
	EXPECT_EQ(test, aufs_test_file_count(writer.get()), 1);
}

CASE_BODY(show_map_files_list)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	if (!aufs_test_has_mmu())
		return aufs_test_skip(test, "there is no map_files");

	auto reader = setup.mount.open("/union/file", O_RDONLY);

	if (!reader)
		return;

	unsigned long all = MAP(test, *setup.file, pages);
	unsigned long some = MAP(test, *reader, 3, 1, PROT_READ);

	EXPECT(test, is_address(aufs_test_mmap(nullptr, 0, PAGE_SIZE, PROT_READ,
					       MAP_ANONYMOUS | MAP_PRIVATE, 0)));
	in_process(test, [&]() noexcept {
		EXPECT_EQ(test, list(test, "/proc/self/map_files"), 2);
		EXPECT_EQ(test, link_mode(all, pages), S_IRUSR | S_IWUSR);
		EXPECT_EQ(test, link_mode(some, 3), S_IRUSR);
		EXPECT_EQ(test, link_mode(some, 2), 0);
		EXPECT(test, aufs_test_leads_to(map_files_name("self", all, pages).text,
						setup.file.get()));
		EXPECT(test,
		       aufs_test_leads_to(map_files_name("self", some, 3).text, reader.get()));
	});
}

CASE_BODY(show_procmap_query)
{
	Setup setup(test);
	bool there = true;

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	in_process(test, [&]() noexcept {
		there = OBSERVERS(test, "self").procmap_query(whole(test, *setup.file, addr));
	});
	if (!there)
		aufs_test_skip(test, "there is no PROCMAP_QUERY");
}

CASE_BODY(show_private)
{
	Setup setup(test);
	const unsigned long word = 77;

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, 4, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	Shown shown{addr, 4, 2, "rw-p", *setup.file, stat_of(test, *setup.file), "/union/file"};

	in_process(test, [&]() noexcept { OBSERVERS(test, "self").all(shown); });
	/* With a page of its own, which is not the file's, it is the file's mapping. */
	EXPECT_EQ(test, aufs_test_write_user(addr, &word, sizeof(word)), 0);
	in_process(test, [&]() noexcept { OBSERVERS(test, "self").all(shown); });
}

CASE_BODY(show_split)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	if (!aufs_test_has_mmu())
		return aufs_test_skip(test, "there is no mprotect");

	unsigned long addr = MAP(test, *setup.file, pages);
	Identity identity = stat_of(test, *setup.file);

	EXPECT_EQ(test, aufs_test_mprotect(addr + 2 * PAGE_SIZE, 3 * PAGE_SIZE, PROT_READ), 0);
	in_process(test, [&]() noexcept {
		const Shown parts[] = {
			{addr, 2, 0, "rw-s", *setup.file, identity, "/union/file"},
			{addr + 2 * PAGE_SIZE, 3, 2, "r--s", *setup.file, identity, "/union/file"},
			{addr + 5 * PAGE_SIZE, 3, 5, "rw-s", *setup.file, identity, "/union/file"},
		};

		for (const Shown &part : parts)
			OBSERVERS(test, "self").all(part);
		EXPECT_EQ(test, lines_of("/union/file"), 3);
	});
	EXPECT_EQ(test, aufs_test_mprotect(addr, pages * PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self").all(whole(test, *setup.file, addr));
		EXPECT_EQ(test, lines_of("/union/file"), 1);
	});
}

CASE_BODY(show_renamed)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, aufs_test_mkdir("/union/dir"), 0);
	EXPECT_EQ(test, aufs_test_rename("/union/file", "/union/dir/new name"), 0);
	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self").all(whole(test, *setup.file, addr, "/union/dir/new name"));
		EXPECT_EQ(test, lines_of("/union/file"), 0);
	});
}

CASE_BODY(show_unlinked)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, aufs_test_unlink("/union/file"), 0);
	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self").all(whole(test, *setup.file, addr, "/union/file (deleted)"));
	});

	/* Another one of that name is another file. */
	auto other = setup.mount.make("/union/file", pages);

	if (!other)
		return;

	unsigned long again = MAP(test, *other, pages);

	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self").all(whole(test, *setup.file, addr, "/union/file (deleted)"));
		OBSERVERS(test, "self").all(whole(test, *other, again));
	});
	EXPECT(test, stat_of(test, *setup.file).ino != stat_of(test, *other).ino);
}

CASE_BODY(show_closed)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);
	struct file *file = setup.file.get();
	Identity identity = stat_of(test, *file);

	/* What the mapping reports is kept by the mapping alone. */
	setup.file = {};
	flush_delayed_fput();
	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self")
			.all({addr, pages, 0, "rw-s", *file, identity, "/union/file"});
	});
}

CASE_BODY(show_read_only_branch)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	auto lower = setup.mount.make("/branches/ro/lower", pages);
	auto file = setup.mount.open("/union/lower", O_RDONLY);

	if (!lower || !file)
		return;

	unsigned long addr = MAP(test, *file, pages, 0, PROT_READ);
	Identity identity = stat_of(test, *file);

	EXPECT(test, identity.dev != stat_of(test, *lower).dev);
	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self")
			.all({addr, pages, 0, "r--s", *file, identity, "/union/lower"});
	});
}

CASE_BODY(show_in_a_directory)
{
	Setup setup(test);

	if (!setup.ok() || !EXPECT_EQ(test, aufs_test_mkdir("/union/dir"), 0) ||
	    !EXPECT_EQ(test, aufs_test_mkdir("/union/dir/deeper"), 0))
		return;

	auto file = setup.mount.make("/union/dir/deeper/file", pages);

	if (!file)
		return;

	unsigned long addr = MAP(test, *file, pages);

	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self").all(whole(test, *file, addr, "/union/dir/deeper/file"));
	});
	/* A directory above it gets another name. */
	EXPECT_EQ(test, aufs_test_rename("/union/dir/deeper", "/union/up"), 0);
	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self").all(whole(test, *file, addr, "/union/up/file"));
	});
}

CASE_BODY(show_odd_name)
{
	static const char path[] = "/union/a name\nof\ttwo = lines \\012";
	Setup setup(test, path);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self").all(whole(test, *setup.file, addr, path));
	});
}

CASE_BODY(show_other_process)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	in_process(test, [&]() noexcept {
		char mapper[16];

		scnprintf(mapper, sizeof(mapper), "%d", aufs_test_pid());
		in_process(test, [&]() noexcept {
			/* It has what it shows for itself alone. */
			if (aufs_test_has_mmu())
				EXPECT_EQ(test, vm_munmap(addr, pages * PAGE_SIZE), 0);
			OBSERVERS(test, mapper).all(whole(test, *setup.file, addr));
		});
	});
}

CASE_BODY(show_overlay_above)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	if (aufs_test_supers("overlay") < 0)
		return aufs_test_skip(test, "there is no overlayfs");

	Overlay overlay(test, "lowerdir=/union:/branches/none");

	if (!overlay.ok())
		return;

	auto file = setup.mount.open("/overlay/file", O_RDONLY);

	if (!file)
		return;

	unsigned long above = MAP(test, *file, pages, 0, PROT_READ);
	unsigned long below = MAP(test, *setup.file, pages);

	EXPECT(test, inode_of(*file).dev != stat_of(test, *setup.file).dev);
	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self")
			.all({above, pages, 0, "r--s", *file, inode_of(*file), "/overlay/file"});
		OBSERVERS(test, "self").all(whole(test, *setup.file, below));
	});
	setup.space.end();
}

CASE_BODY(show_overlay_alone)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	if (aufs_test_supers("overlay") < 0)
		return aufs_test_skip(test, "there is no overlayfs");

	Overlay overlay(test, "lowerdir=/branches/rw:/branches/none");

	if (!overlay.ok())
		return;

	auto file = setup.mount.open("/overlay/file", O_RDONLY);

	if (!file)
		return;

	unsigned long addr = MAP(test, *file, pages, 0, PROT_READ);

	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self")
			.all({addr, pages, 0, "r--s", *file, inode_of(*file), "/overlay/file"});
	});
	setup.space.end();
}

CASE_BODY(show_plain_file)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	auto file = setup.mount.make("/branches/rw/plain", pages);

	if (!file)
		return;

	unsigned long addr = MAP(test, *file, pages);

	in_process(test, [&]() noexcept {
		OBSERVERS(test, "self").all(whole(test, *file, addr, "/branches/rw/plain"));
	});
}
