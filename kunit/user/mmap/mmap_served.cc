// SPDX-License-Identifier: GPL-2.0-only
//
// The branch serves a mapped file: there is one page cache, and the operations are the branch's.
//
// Combinations: tmpfs ext4+xfs

#include "proc.hh"

static size_t pages(size_t count)
{
	return count * page_size();
}

PARAM_CASE(content_of_every_branch, "shared", "private")
{
	int flags = ktap::param() == "shared" ? MAP_SHARED : MAP_PRIVATE;
	Union u;
	string content = pattern(100000);
	write_file(u.top + "/t", content);
	write_file(u.low + "/l", content);
	write_file(u.low2 + "/l2", content);
	u.mount(u.options() + ":" + u.low2);
	for (const char *name : {"t", "l", "l2"}) {
		Map map(content.size(), PROT_READ, flags, open_file(u.at(name), O_RDONLY));
		EXPECT(map.text(content.size()) == content);
		Map part(pages(2), PROT_READ, flags, open_file(u.at(name), O_RDONLY), pages(3));
		EXPECT(part.text(pages(2)) == content.substr(pages(3), pages(2)));
	}
}

CASE(shared_write_reaches_the_branch)
{
	Union u;
	write_file(u.top + "/file", pattern(pages(4)));
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR);
	Map map(pages(4), PROT_READ | PROT_WRITE, MAP_SHARED, file);
	memcpy(map.at(pages(1)), "written", 7);
	/* Each way to read shows it at once: the pages are the same. */
	EXPECT_EQ(pread_text(file, 7, pages(1)), "written");
	EXPECT_EQ(read_file(u.at("file")).substr(pages(1), 7), "written");
	EXPECT_EQ(read_file(u.top + "/file").substr(pages(1), 7), "written");
	EXPECT_OK(msync(map.at(), pages(4), MS_SYNC));
	EXPECT_OK(msync(map.at(), pages(4), MS_ASYNC));
	map.unmap();
	file.reset();
	u.unmount();
	EXPECT_EQ(read_file(u.top + "/file").substr(pages(1), 7), "written");
}

CASE(writes_show_in_the_mapping)
{
	Union u;
	write_file(u.top + "/file", pattern(pages(2)));
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR);
	Map map(pages(2), PROT_READ, MAP_SHARED, file);
	OK(pwrite(file, "through the union", 17, 10));
	EXPECT_EQ(map.text(17, 10), "through the union");
	Fd branch = open_file(u.top + "/file", O_RDWR);
	OK(pwrite(branch, "through the branch", 18, pages(1)));
	EXPECT_EQ(map.text(18, pages(1)), "through the branch");
	EXPECT_EQ(pread_text(file, 18, pages(1)), "through the branch");
}

/* A lower file is changed on its branch: the mapping shows the change, as the file is the same. */
CASE(lower_mapping_is_the_branchs_cache)
{
	Union u;
	write_file(u.low + "/file", pattern(pages(1)));
	u.mount();
	Map map(pages(1), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	Map branch(pages(1), PROT_READ | PROT_WRITE, MAP_SHARED,
		   open_file(u.low + "/file", O_RDWR));
	branch[100] = '#';
	EXPECT_EQ(map[100], '#');
	branch[200] = '$';
	EXPECT_EQ(map[200], '$');
}

/* mincore() on a mapping of the branch shows the pages that a mapping of the union brought in. */
CASE(pages_are_in_memory_once)
{
	Union u;
	write_file(u.low + "/file", pattern(pages(8)));
	u.mount();
	Map map(pages(8), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	Map branch(pages(8), PROT_READ, MAP_SHARED, open_file(u.low + "/file", O_RDONLY));
	for (int i = 0; i < 8; i++) {
		map.touch(pages(i));
		branch.touch(pages(i));
	}
	unsigned char through[8] = {}, direct[8] = {};
	OK(mincore(map.at(), pages(8), through));
	OK(mincore(branch.at(), pages(8), direct));
	for (int i = 0; i < 8; i++) {
		EXPECT_EQ(through[i] & 1, 1);
		EXPECT_EQ(direct[i] & 1, 1);
	}
	/* /proc/self/pagemap names the same physical page for both. */
	Fd pagemap = open_file("/proc/self/pagemap", O_RDONLY);
	auto frame = [&](const char *address) {
		uint64_t entry = 0;
		OK(pread(pagemap, &entry, 8,
			 reinterpret_cast<uintptr_t>(address) / page_size() * 8));
		return entry & ((1ULL << 55) - 1);
	};
	EXPECT_NE(frame(map.at()), 0u);
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(frame(map.at(pages(i))), frame(branch.at(pages(i))));
}

CASE(private_writes_stay_private)
{
	Union u;
	string content = pattern(pages(2));
	write_file(u.top + "/file", content);
	write_file(u.low + "/low", content);
	u.mount();
	for (const char *name : {"file", "low"}) {
		Fd file = open_file(u.at(name), O_RDONLY);
		Map map(pages(2), PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
		memcpy(map.at(), "private", 7);
		EXPECT_EQ(map.text(7), "private");
		EXPECT(read_file(u.at(name)) == content);
		EXPECT_EQ(map.text(100, pages(1)), content.substr(pages(1), 100));
	}
	EXPECT(read_file(u.top + "/file") == content);
	EXPECT(read_file(u.low + "/low") == content);
}

/* Code in a mapped file runs. */
CASE(executable_mapping)
{
	Union u;
	/* Returns 42. */
#ifdef __aarch64__
	write_file(u.low + "/code", string("\x40\x05\x80\x52\xc0\x03\x5f\xd6", 8));
#else
	write_file(u.low + "/code", string("\xb8\x2a\x00\x00\x00\xc3", 6));
#endif
	u.mount();
	Map map(pages(1), PROT_READ | PROT_EXEC, MAP_PRIVATE, open_file(u.at("code"), O_RDONLY));
	auto code = reinterpret_cast<int (*)()>(map.at());
	EXPECT_EQ(code(), 42);
	EXPECT_EQ(vma_at(map.at()).perms, "r-xp");
}

CASE(noexec_union)
{
	Union u;
	write_file(u.low + "/code", "x");
	u.mount(u.options(), MS_NOEXEC);
	Fd file = open_file(u.at("code"), O_RDONLY);
	EXPECT_ERR(mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0), EPERM);
	Map map(pages(1), PROT_READ, MAP_PRIVATE, file);
	EXPECT_ERR(mprotect(map.at(), pages(1), PROT_READ | PROT_EXEC), EACCES);
}

/* A file grows and shrinks under its mapping. */
CASE(size_changes_under_the_mapping)
{
	Union u;
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
	OK(pwrite(file, "start", 5, 0));
	Map map(pages(4), PROT_READ | PROT_WRITE, MAP_SHARED, file);
	EXPECT_EQ(map.text(5), "start");
	EXPECT_EQ(in_child([&] { map.touch(pages(1)); }), 128 + SIGBUS);
	OK(ftruncate(file, pages(4)));
	map[pages(3)] = 'x';
	EXPECT_EQ(pread_text(file, 1, pages(3)), "x");
	OK(ftruncate(file, pages(1)));
	EXPECT_EQ(in_child([&] { map.touch(pages(3)); }), 128 + SIGBUS);
	OK(ftruncate(file, pages(4)));
	EXPECT_EQ(map[pages(3)], '\0');
	/* The rest of the last page reads as zeroes again. */
	OK(ftruncate(file, 3));
	EXPECT_EQ(map.text(6), string("sta\0\0\0", 6));
	/* After a truncation on the branch, the union's mapping has no page there either. */
	OK(truncate((u.top + "/file").c_str(), 0));
	EXPECT_EQ(in_child([&] { map.touch(0); }), 128 + SIGBUS);
}

/* A write through a mapping of the union makes the branch's file dirty, and reaches the disk. */
CASE(written_back_to_disk)
{
	Union u;
	if (on("tmpfs"))
		SKIP("tmpfs keeps nothing on a disk");
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
	OK(ftruncate(file, pages(16)));
	{
		Map map(pages(16), PROT_READ | PROT_WRITE, MAP_SHARED, file);
		for (int i = 0; i < 16; i++)
			map[pages(i)] = 'a' + i;
		OK(msync(map.at(), pages(16), MS_SYNC));
	}
	OK(fsync(file));
	OK(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED));
	write_control("/proc/sys/vm/drop_caches", "1");
	/* O_DIRECT reads past all caches. */
	Fd direct = open_file(u.top + "/file", O_RDONLY | O_DIRECT);
	Map buffer(pages(16), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	EXPECT_EQ(OK(pread(direct, buffer.at(), pages(16), 0)), ssize_t(pages(16)));
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(buffer[pages(i)], char('a' + i));
}

/* Two processes share memory through a union file. */
CASE(shared_between_processes)
{
	Union u;
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
	OK(ftruncate(file, pages(1)));
	constexpr int rounds = 20000;
	auto count_up = [&] {
		Map map(pages(1), PROT_READ | PROT_WRITE, MAP_SHARED,
			open_file(u.at("file"), O_RDWR));
		auto *counter = reinterpret_cast<int *>(map.at());
		for (int i = 0; i < rounds; i++)
			__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
	};
	pid_t first = spawn(count_up), second = spawn(count_up);
	EXPECT_EQ(wait_for(first), 0);
	EXPECT_EQ(wait_for(second), 0);
	int total = 0;
	OK(pread(file, &total, sizeof(total), 0));
	EXPECT_EQ(total, 2 * rounds);
}

/* Each of many mappings keeps the union busy, until the last one is gone. */
CASE(many_mappings_of_one_file)
{
	Union u;
	write_file(u.low + "/file", pattern(pages(1)));
	u.mount();
	Fd file = open_file(u.at("file"), O_RDONLY);
	std::vector<Map> maps;
	for (int i = 0; i < 500; i++)
		maps.emplace_back(pages(1), PROT_READ, MAP_SHARED, file);
	for (const Map &map : maps)
		EXPECT_EQ(map.text(20), pattern(20));
	file.reset();
	EXPECT_ERR(umount2(u.mnt.c_str(), 0), EBUSY);
	maps.clear();
	u.unmount();
}

CASE(mapping_opened_for_read_and_write_by_others)
{
	Union u;
	write_file(u.top + "/file", pattern(pages(1)));
	u.mount();
	Map reader(pages(1), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	Map writer(pages(1), PROT_READ | PROT_WRITE, MAP_SHARED, open_file(u.at("file"), O_RDWR));
	writer[5] = '!';
	EXPECT_EQ(reader[5], '!');
	/* A mapping's right to write comes from its descriptor. */
	EXPECT_ERR(mprotect(reader.at(), pages(1), PROT_READ | PROT_WRITE), EACCES);
	EXPECT_OK(mprotect(writer.at(), pages(1), PROT_READ));
	EXPECT_OK(mprotect(writer.at(), pages(1), PROT_READ | PROT_WRITE));
}

/* A mapping counts as an access to the union's file and the branch's, as on any filesystem. */
CASE(access_time_of_a_mapped_file)
{
	Union u;
	write_file(u.top + "/file", pattern(pages(1)));
	timespec times[2] = {{1000, 0}, {2000, 0}};
	OK(utimensat(AT_FDCWD, (u.top + "/file").c_str(), times, 0));
	u.mount(u.options(), MS_RELATIME);
	Map map(pages(1), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	map.touch(0);
	EXPECT_GT(stat_of(u.at("file")).st_atim.tv_sec, 1000);
}
