// SPDX-License-Identifier: GPL-2.0-only
//
// Every observer reports a mapped file as the union's: maps, smaps, numa_maps, map_files, exe and fdinfo of /proc, and
// the PROCMAP_QUERY ioctl. expect_reported() asks all that know mappings. On kernels without backing files, maps and
// smaps show the branch's device and inode, as the README says; that is checked too.
//
// Combinations: tmpfs ext4+xfs

#include "proc.hh"

#include <sched.h>

static size_t pages(size_t count)
{
	return count * page_size();
}

PARAM_CASE(every_observer, "shared_low", "private_low", "shared_top", "writable_top",
	   "executable_low", "lower_of_two")
{
	string p = ktap::param();
	Union u;
	write_file(u.top + "/file_top", pattern(pages(3)));
	write_file(u.low + "/file_low", pattern(pages(3)));
	write_file(u.low2 + "/file_low2", pattern(pages(3)));
	u.mount(u.options() + ":" + u.low2);
	bool top = p.find("top") != string::npos, third = p == "lower_of_two";
	string name = top ? "file_top" : third ? "file_low2" : "file_low";
	string branch = (top ? u.top : third ? u.low2 : u.low) + "/" + name, path = u.at(name);
	int prot = p == "writable_top"	 ? PROT_READ | PROT_WRITE :
		   p == "executable_low" ? PROT_READ | PROT_EXEC :
					   PROT_READ;
	Map map(pages(2), prot, p == "private_low" ? MAP_PRIVATE : MAP_SHARED,
		open_file(path, p == "writable_top" ? O_RDWR : O_RDONLY), pages(1));
	expect_reported(map.at(), path, stat_of(path), stat_of(branch));
	EXPECT_EQ(vma_at(map.at()).offset, pages(1));
	for (const char *file : {"maps", "smaps"})
		EXPECT(!mentions(file, branch));
}

CASE(written_private_copy_keeps_its_name)
{
	Union u;
	write_file(u.low + "/file", pattern(pages(2)));
	u.mount();
	Map map(pages(2), PROT_READ | PROT_WRITE, MAP_PRIVATE, open_file(u.at("file"), O_RDONLY));
	map[0] = 'x';
	expect_reported(map.at(), u.at("file"), stat_of(u.at("file")), stat_of(u.low + "/file"));
	EXPECT_EQ(vma_at(map.at(), "smaps").figure("Private_Dirty"), long(page_size() / 1024));
}

/* Another process looks at the mapping. */
CASE(seen_by_another_process)
{
	Union u;
	write_file(u.low + "/file", pattern(pages(2)));
	u.mount();
	Pipe ready, done;
	pid_t child = spawn([&] {
		ready.read.reset();
		done.write.reset();
		Map map(pages(2), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
		map.touch(0);
		send_byte(ready.write);
		wait_byte(done.read);
	});
	ready.write.reset();
	ASSERT(wait_byte(ready.read));
	std::vector<Vma> seen = vmas_of(u.at("file"), child);
	ASSERT_EQ(seen.size(), 1u);
	EXPECT_EQ(seen[0].size(), pages(2));
	EXPECT_EQ(link_target(map_files_name(seen[0], child)), u.at("file"));
	EXPECT(mentions("smaps", u.at("file"), child));
	EXPECT(mentions("numa_maps", "file=" + u.at("file"), child));
	EXPECT(!mentions("maps", u.low, child));
	done.write.reset();
	EXPECT_EQ(wait_for(child), 0);
}

/* A map_files link opens the union's file, with the union's rights. */
CASE(map_files_opens_the_union_file)
{
	Union u;
	write_file(u.low + "/file", pattern(pages(2)));
	u.mount();
	Map map(pages(2), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	string link = map_files_name(vma_at(map.at()));
	Fd again = open_file(link, O_RDONLY);
	EXPECT_EQ(link_target(ktap::format("/proc/self/fd/%d", int(again))), u.at("file"));
	EXPECT_EQ(fstat_of(again).st_ino, stat_of(u.at("file")).st_ino);
	EXPECT_EQ(fstat_of(again).st_dev, stat_of(u.mnt).st_dev);
	EXPECT_EQ(pread_text(again, 50, 0), pattern(50));
	Map second(pages(2), PROT_READ, MAP_SHARED, again);
	expect_reported(second.at(), u.at("file"), stat_of(u.at("file")), stat_of(u.low + "/file"));
}

CASE(fd_links_and_fdinfo)
{
	Union u;
	write_file(u.low + "/file", "text");
	u.mount();
	Fd file = open_file(u.at("file"), O_RDONLY);
	EXPECT_EQ(link_target(ktap::format("/proc/self/fd/%d", int(file))), u.at("file"));
	EXPECT_EQ(stat_of(ktap::format("/proc/self/fd/%d", int(file))).st_ino,
		  stat_of(u.at("file")).st_ino);
	string info = read_file(ktap::format("/proc/self/fdinfo/%d", int(file)));
	EXPECT_HAS(info, ktap::format("ino:\t%lu\n", (unsigned long)stat_of(u.at("file")).st_ino));
	/* mnt_id is the union's mount. */
	string mounts = read_file("/proc/self/mountinfo");
	int mount_id = 0;
	size_t at = mounts.find(" / " + u.mnt + " ");
	ASSERT_NE(at, string::npos);
	size_t start = mounts.rfind('\n', at);
	ASSERT_EQ(sscanf(mounts.c_str() + (start == string::npos ? 0 : start + 1), "%d", &mount_id),
		  1);
	EXPECT_HAS(info, ktap::format("mnt_id:\t%d\n", mount_id));
}

HELPER(say_own_maps)
{
	printf("exe %s\n%s", link_target("/proc/self/exe").c_str(),
	       read_file("/proc/self/maps").c_str());
	return 0;
}

CASE(executed_program)
{
	Union u;
	copy_self(u.low + "/prog");
	u.mount();
	Output out = run_helper(u.at("prog"), "say_own_maps");
	EXPECT_EQ(out.status, 0);
	EXPECT_HAS(out.text, "exe " + u.at("prog") + "\n");
	EXPECT_HAS_NOT(out.text, u.low);
	size_t count = 0;
	for (size_t at = 0; (at = out.text.find(" " + u.at("prog") + "\n", at)) != string::npos;
	     at++)
		count++;
	/* The link of exe, and in maps at least text, read-only data and writable data. */
	EXPECT_GE(count, 4u);
	struct stat shown = stat_of(reports_union_inode() ? u.at("prog") : u.low + "/prog");
	EXPECT_HAS(out.text, ktap::format(" %02x:%02x %lu ", major(shown.st_dev),
					  minor(shown.st_dev), (unsigned long)shown.st_ino));
}

/* A process in a chroot is shown paths from its root. */
CASE(in_a_chroot)
{
	Union u;
	make_dir(u.low + "/bin");
	make_dir(u.low + "/proc");
	copy_self(u.low + "/bin/prog");
	u.mount();
	Mounted proc("proc", u.at("proc"), "proc", 0, "");
	Output out = run({"/bin/prog", "--helper", "say_own_maps"}, u.mnt);
	EXPECT_EQ(out.status, 0);
	EXPECT_HAS(out.text, "exe /bin/prog\n");
	EXPECT_HAS(out.text, " /bin/prog\n");
	EXPECT_HAS_NOT(out.text, u.mnt);
	EXPECT_HAS_NOT(out.text, u.low);
}

/* The union is the root of a mount namespace, as in a live system. */
CASE(after_pivot_root)
{
	Union u;
	make_dir(u.low + "/bin");
	make_dir(u.low + "/proc");
	make_dir(u.top + "/old");
	copy_self(u.low + "/bin/prog");
	u.mount();
	Pipe pipe;
	int code = in_child([&] {
		OK(unshare(CLONE_NEWNS));
		OK(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
		OK(chdir(u.mnt.c_str()));
		OK(syscall(SYS_pivot_root, ".", "old"));
		OK(chroot("."));
		OK(::mount("proc", "/proc", "proc", 0, nullptr));
		OK(umount2("/old", MNT_DETACH));
		Output out = run({"/bin/prog", "--helper", "say_own_maps"});
		EXPECT_EQ(out.status, 0);
		EXPECT_HAS(out.text, "exe /bin/prog\n");
		EXPECT_HAS(out.text, " /bin/prog\n");
		EXPECT_HAS_NOT(out.text, u.low);
		EXPECT_HAS_NOT(out.text, "unreachable");
	});
	EXPECT_EQ(code, 0);
}

/* Names with bytes that maps has to escape. */
CASE(odd_names)
{
	Union u;
	write_file(u.low + "/new\nline", pattern(100));
	write_file(u.low + "/sp ace", pattern(100));
	write_file(u.low + "/utf\xc3\xa4", pattern(100));
	u.mount();
	Map one(pages(1), PROT_READ, MAP_SHARED, open_file(u.at("new\nline"), O_RDONLY));
	EXPECT_EQ(vma_at(one.at()).path, u.at("new\\012line"));
	Map two(pages(1), PROT_READ, MAP_SHARED, open_file(u.at("sp ace"), O_RDONLY));
	EXPECT_EQ(vma_at(two.at()).path, u.at("sp ace"));
	Map three(pages(1), PROT_READ, MAP_SHARED, open_file(u.at("utf\xc3\xa4"), O_RDONLY));
	EXPECT_EQ(vma_at(three.at()).path, u.at("utf\xc3\xa4"));
}

/* smaps counts a mapping of the union as it counts one of the branch. */
CASE(smaps_figures)
{
	Union u;
	write_file(u.low + "/file", pattern(pages(8)));
	u.mount();
	Map map(pages(8), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	for (int i = 0; i < 8; i++)
		map.touch(pages(i));
	Vma vma = vma_at(map.at(), "smaps");
	EXPECT_EQ(vma.figure("Size"), long(pages(8) / 1024));
	EXPECT_EQ(vma.figure("Rss"), long(pages(8) / 1024));
	EXPECT_EQ(vma.figure("Pss"), long(pages(8) / 1024));
	/* A second mapping, of the branch's own file, halves the share of each. */
	Map branch(pages(8), PROT_READ, MAP_SHARED, open_file(u.low + "/file", O_RDONLY));
	for (int i = 0; i < 8; i++)
		branch.touch(pages(i));
	EXPECT_EQ(vma_at(map.at(), "smaps").figure("Pss"), long(pages(4) / 1024));
	EXPECT_EQ(vma_at(branch.at()).path, u.low + "/file");
	EXPECT_EQ(vma_at(branch.at()).inode, stat_of(u.low + "/file").st_ino);
}

/* An inode has two names: each mapping reports the name by which it was opened. */
CASE(proc_maps_of_a_hard_link)
{
	Union u;
	write_file(u.low + "/one", pattern(pages(1)));
	OK(link((u.low + "/one").c_str(), (u.low + "/two").c_str()));
	u.mount();
	Map one(pages(1), PROT_READ, MAP_SHARED, open_file(u.at("one"), O_RDONLY));
	Map two(pages(1), PROT_READ, MAP_SHARED, open_file(u.at("two"), O_RDONLY));
	expect_reported(one.at(), u.at("one"), stat_of(u.at("one")), stat_of(u.low + "/one"));
	expect_reported(two.at(), u.at("two"), stat_of(u.at("one")), stat_of(u.low + "/one"));
}
