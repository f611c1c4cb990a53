// SPDX-License-Identifier: GPL-2.0-only
//
// Mappings that fail: the errno is that of any filesystem, and no reference is left.

#include "proc.hh"

static size_t pages(size_t count)
{
	return count * page_size();
}

CASE(access_modes)
{
	Union u;
	write_file(u.top + "/file", pattern(pages(2)));
	u.mount();
	Fd reader = open_file(u.at("file"), O_RDONLY), writer = open_file(u.at("file"), O_WRONLY);
	Fd both = open_file(u.at("file"), O_RDWR), path = open_file(u.at("file"), O_PATH);
	EXPECT_ERR(mmap(nullptr, pages(1), PROT_READ, MAP_SHARED, writer, 0), EACCES);
	EXPECT_ERR(mmap(nullptr, pages(1), PROT_WRITE, MAP_SHARED, writer, 0), EACCES);
	EXPECT_ERR(mmap(nullptr, pages(1), PROT_READ, MAP_PRIVATE, writer, 0), EACCES);
	EXPECT_ERR(mmap(nullptr, pages(1), PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0), EACCES);
	EXPECT_ERR(mmap(nullptr, pages(1), PROT_READ, MAP_SHARED, path, 0), EBADF);
	Map map(pages(1), PROT_READ | PROT_WRITE, MAP_PRIVATE, reader);
	Map shared(pages(1), PROT_READ | PROT_WRITE, MAP_SHARED, both);
	map[0] = 'x';
	shared[0] = 'x';
}

CASE(append_only_file)
{
	Union u;
	write_file(u.top + "/file", pattern(pages(1)));
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_APPEND);
	Map map(pages(1), PROT_READ | PROT_WRITE, MAP_SHARED, file);
	map[0] = 'x';
	EXPECT_EQ(pread_text(file, 1, 0), "x");
}

CASE(directories_and_special_files)
{
	Union u;
	OK(mkfifo((u.low + "/fifo").c_str(), 0644));
	OK(mknod((u.low + "/zero").c_str(), S_IFCHR | 0666, makedev(1, 5)));
	u.mount();
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY),
	   fifo = open_file(u.at("fifo"), O_RDONLY | O_NONBLOCK);
	EXPECT_ERR(mmap(nullptr, pages(1), PROT_READ, MAP_SHARED, dir, 0), ENODEV);
	EXPECT_ERR(mmap(nullptr, pages(1), PROT_READ, MAP_SHARED, fifo, 0), ENODEV);
	/* A device file is mapped by its driver, not by the branch. */
	Map zero(pages(1), PROT_READ | PROT_WRITE, MAP_PRIVATE, open_file(u.at("zero"), O_RDWR));
	zero[0] = 'x';
	EXPECT_EQ(zero[1], '\0');
}

/* On a branch whose files cannot be mapped, the union's files cannot be mapped either. */
PARAM_CASE(branch_without_mmap, "securityfs", "tracefs", "debugfs", "configfs", "efivarfs",
	   "binfmt_misc", "mqueue")
{
	string type = ktap::param();
	Union u;
	make_dir(u.tmp + "/branch");
	if (::mount("none", (u.tmp + "/branch").c_str(), type.c_str(), 0, nullptr))
		SKIP("no %s here: %s", type.c_str(), strerrorname_np(errno));
	Mounted branch = Mounted::adopt(u.tmp + "/branch");
	/* Looks for a file that can be opened and not mapped. */
	string found;
	for (const string &name : {string("lsm"), string("README"), string("available_tracers"),
				   string("status"), string("trace_clock"), string("sleep_time")}) {
		Fd file(open((branch.path() + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
		if (file < 0)
			continue;
		void *at = mmap(nullptr, pages(1), PROT_READ, MAP_SHARED, file, 0);
		if (at == MAP_FAILED && errno == ENODEV)
			found = name;
	}
	if (found.empty()) {
		branch.unmount();
		SKIP("%s here has no file that can be opened and not mapped", type.c_str());
	}
	int error = try_mount(u.mnt, "br=" + u.top + ":" + branch.path());
	if (error) {
		/* A filesystem with its own lookups of names may be refused, as overlayfs refuses it. */
		EXPECT_EQ(ktap::errno_name(error), "EINVAL");
		branch.unmount();
		SKIP("%s is refused as a branch", type.c_str());
	}
	u.mount("br=" + u.top + ":" + branch.path());
	{
		Fd file = open_file(u.at(found), O_RDONLY);
		for (int i = 0; i < 10; i++) {
			EXPECT_ERR(mmap(nullptr, pages(1), PROT_READ, MAP_SHARED, file, 0), ENODEV);
			EXPECT_ERR(mmap(nullptr, pages(1), PROT_READ, MAP_PRIVATE, file, 0),
				   ENODEV);
		}
	}
	u.unmount();
	branch.unmount();
}

/* The branch's ->mmap fails: the errno is passed on, and no reference is left. */
PARAM_CASE(branch_mmap_fails, "proc", "sysfs")
{
	string type = ktap::param();
	Union u;
	make_dir(u.tmp + "/branch");
	Mounted branch("none", u.tmp + "/branch", type, 0, "");
	string name = type == "proc" ? "version" : "kernel/uevent_seqnum";
	int expected;
	{
		Fd plain = open_file(branch.path() + "/" + name, O_RDONLY);
		ASSERT_EQ(mmap(nullptr, pages(1), PROT_READ, MAP_SHARED, plain, 0), MAP_FAILED);
		expected = errno;
	}
	int error = try_mount(u.mnt, "br=" + u.top + ":" + branch.path());
	if (error) {
		EXPECT_EQ(ktap::errno_name(error), "EINVAL");
		branch.unmount();
		SKIP("%s is refused as a branch", type.c_str());
	}
	u.mount("br=" + u.top + ":" + branch.path());
	{
		Fd file = open_file(u.at(name), O_RDONLY);
		for (int i = 0; i < 100; i++)
			EXPECT_ERR(mmap(nullptr, pages(1), PROT_READ, MAP_SHARED, file, 0),
				   expected);
	}
	u.unmount();
	branch.unmount();
}

/* The process has as many mappings as it may have. */
CASE(too_many_mappings)
{
	Union u;
	write_file(u.low + "/file", pattern(pages(4)));
	u.mount();
	{
		Fd file = open_file(u.at("file"), O_RDONLY);
		/* vm.max_map_count: the mmap() that goes over it fails after ->mmap may have been called. */
		std::vector<void *> maps;
		long limit = std::stol(read_file("/proc/sys/vm/max_map_count"));
		write_control("/proc/sys/vm/max_map_count", "300");
		int error = 0;
		for (int i = 0; i < 1000 && !error; i++) {
			/* Every second page of the file, so that no two merge. */
			void *at = mmap(nullptr, pages(1), PROT_READ, MAP_SHARED, file,
					pages(i % 2 * 2));
			if (at == MAP_FAILED)
				error = errno;
			else
				maps.push_back(at);
		}
		write_control("/proc/sys/vm/max_map_count", std::to_string(limit));
		EXPECT_EQ(ktap::errno_name(error), "ENOMEM");
		EXPECT_GT(maps.size(), 200u);
		for (void *at : maps)
			OK(munmap(at, pages(1)));
	}
	u.unmount();
}

/* A split that would go over the limit fails and keeps the mapping whole. */
CASE(split_over_the_map_count_limit)
{
	Union u;
	write_file(u.low + "/file", pattern(pages(400)));
	u.mount();
	{
		Map map(pages(400), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
		long limit = std::stol(read_file("/proc/sys/vm/max_map_count"));
		write_control("/proc/sys/vm/max_map_count", "100");
		int error = 0;
		for (int i = 1; i < 400 && !error; i += 2)
			error = mprotect(map.at(pages(i)), pages(1), PROT_NONE) ? errno : 0;
		int hole = munmap(map.at(pages(301)), pages(1)) ? errno : 0;
		write_control("/proc/sys/vm/max_map_count", std::to_string(limit));
		EXPECT_EQ(ktap::errno_name(error), "ENOMEM");
		EXPECT_EQ(ktap::errno_name(hole), "ENOMEM");
		size_t total = 0;
		for (const Vma &vma : vmas_of(u.at("file")))
			total += vma.size();
		EXPECT_EQ(total, pages(400));
	}
	u.unmount();
}
