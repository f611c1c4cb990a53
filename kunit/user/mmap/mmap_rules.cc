// SPDX-License-Identifier: GPL-2.0-only
//
// The bookkeeping of reported files: vmas are copied, dropped and merged, and pin the union. Nothing is left when the
// last vma is gone.

#include "proc.hh"

static size_t pages(size_t count)
{
	return count * page_size();
}

/* A union with a lower file of 16 pages, "file", and a second one, "other". */
struct Setup : Union {
	Setup()
	{
		write_file(low + "/file", pattern(pages(16)));
		write_file(low + "/other", pattern(pages(16), 2));
		write_file(top + "/mine", pattern(pages(16), 3));
		mount();
	}
	string file() const
	{
		return at("file");
	}
	Map map(const string &name = "file", int prot = PROT_READ, int flags = MAP_SHARED)
	{
		bool writes = (prot & PROT_WRITE) && flags == MAP_SHARED;
		return Map(pages(16), prot, flags, open_file(at(name), writes ? O_RDWR : O_RDONLY));
	}
	void expect(const void *address, const string &name = "file")
	{
		string branch = exists(top + "/" + name) ? top : low;
		expect_reported(address, at(name), stat_of(at(name)), stat_of(branch + "/" + name));
	}
	/* The rule behind all rules: when all is unmapped and closed, the union can be unmounted. */
	void expect_free()
	{
		unmount();
	}
};

/* Rule 1: fork copies, exit drops. */
CASE(fork_and_exit)
{
	Setup u;
	{
		Map map = u.map();
		for (int i = 0; i < 20; i++) {
			int code = in_child([&] {
				u.expect(map.at());
				EXPECT_EQ(map.text(100), pattern(100));
				if (i % 2)
					map.unmap();
			});
			EXPECT_EQ(code, 0);
		}
		u.expect(map.at());
	}
	u.expect_free();
}

/* A child keeps the mapping when its parent has dropped it. */
CASE(child_outlives_the_parents_mapping)
{
	Setup u;
	Pipe go, ready;
	pid_t child;
	{
		Map map = u.map();
		child = spawn([&] {
			go.write.reset();
			wait_byte(go.read);
			u.expect(map.at());
			EXPECT_EQ(map.text(100), pattern(100));
			send_byte(ready.write);
			wait_byte(go.read);
		});
	}
	send_byte(go.write);
	ASSERT(wait_byte(ready.read));
	EXPECT_ERR(umount2(u.mnt.c_str(), 0), EBUSY);
	send_byte(go.write);
	EXPECT_EQ(wait_for(child), 0);
	u.expect_free();
}

CASE(killed_child)
{
	Setup u;
	{
		Map map = u.map("mine", PROT_READ | PROT_WRITE);
		for (int i = 0; i < 5; i++) {
			Pipe ready;
			pid_t child = spawn([&] {
				map[0] = 'x';
				send_byte(ready.write);
				pause();
			});
			wait_byte(ready.read);
			kill(child, SIGKILL);
			EXPECT_EQ(wait_for(child), 128 + SIGKILL);
		}
	}
	u.expect_free();
}

/* Rule 1: a vma is split by munmap() of its middle. */
CASE(split_by_munmap)
{
	Setup u;
	{
		Map map = u.map();
		OK(munmap(map.at(pages(6)), pages(4)));
		std::vector<Vma> parts = vmas_of(u.file());
		ASSERT_EQ(parts.size(), 2u);
		EXPECT_EQ(parts[0].size(), pages(6));
		EXPECT_EQ(parts[1].size(), pages(6));
		EXPECT_EQ(parts[1].offset, pages(10));
		u.expect(map.at());
		u.expect(map.at(pages(10)));
		EXPECT_EQ(map.text(50, pages(10)), pattern(pages(16)).substr(pages(10), 50));
		OK(munmap(map.at(), pages(6)));
		u.expect(map.at(pages(10)));
		EXPECT_ERR(umount2(u.mnt.c_str(), 0), EBUSY);
	}
	u.expect_free();
}

/* Rule 1: a vma is split by mprotect(), and merged again. */
CASE(split_and_merged_by_mprotect)
{
	Setup u;
	{
		Map map = u.map("mine", PROT_READ | PROT_WRITE);
		for (int i = 0; i < 10; i++) {
			OK(mprotect(map.at(pages(5)), pages(3), PROT_READ));
			std::vector<Vma> parts = vmas_of(u.at("mine"));
			ASSERT_EQ(parts.size(), 3u);
			for (const Vma &part : parts)
				u.expect(reinterpret_cast<void *>(part.start), "mine");
			OK(mprotect(map.at(pages(5)), pages(3), PROT_READ | PROT_WRITE));
			EXPECT_EQ(vmas_of(u.at("mine")).size(), 1u);
		}
		/* The vma becomes many pieces, and one again. */
		for (int i = 1; i < 16; i += 2)
			OK(mprotect(map.at(pages(i)), pages(1), PROT_NONE));
		EXPECT_EQ(vmas_of(u.at("mine")).size(), 16u);
		OK(mprotect(map.at(), pages(16), PROT_READ | PROT_WRITE));
		EXPECT_EQ(vmas_of(u.at("mine")).size(), 1u);
	}
	u.expect_free();
}

CASE(split_by_madvise_and_mlock)
{
	Setup u;
	{
		Map map = u.map();
		OK(madvise(map.at(pages(2)), pages(2), MADV_RANDOM));
		EXPECT_EQ(vmas_of(u.file()).size(), 3u);
		OK(mlock(map.at(pages(8)), pages(2)));
		EXPECT_EQ(vmas_of(u.file()).size(), 5u);
		u.expect(map.at(pages(8)));
		OK(munlock(map.at(pages(8)), pages(2)));
		OK(madvise(map.at(pages(2)), pages(2), MADV_NORMAL));
		EXPECT_EQ(vmas_of(u.file()).size(), 1u);
		OK(madvise(map.at(), pages(16), MADV_DONTFORK));
		EXPECT_EQ(in_child([&] { EXPECT(vmas_of(u.file()).empty()); }), 0);
	}
	u.expect_free();
}

CASE(mremap_grows_moves_and_shrinks)
{
	Setup u;
	{
		Map map(pages(4), PROT_READ, MAP_SHARED, open_file(u.file(), O_RDONLY));
		char *at = static_cast<char *>(
			OK(mremap(map.at(), pages(4), pages(12), MREMAP_MAYMOVE)));
		map.forget();
		u.expect(at);
		EXPECT_EQ(vmas_of(u.file()).size(), 1u);
		EXPECT_EQ(string(at + pages(11), 50), pattern(pages(16)).substr(pages(11), 50));
		/* The mapping moves to a fixed address, over another mapping of the union. */
		Map other = u.map("other");
		char *moved = static_cast<char *>(
			OK(mremap(at, pages(12), pages(12), MREMAP_MAYMOVE | MREMAP_FIXED,
				  other.at(pages(2)))));
		EXPECT_EQ(moved, other.at(pages(2)));
		u.expect(moved);
		u.expect(other.at(), "other");
		u.expect(other.at(pages(14)), "other");
		/* Only the middle moves. */
		Map hole(pages(2), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		OK(mremap(moved + pages(3), pages(2), pages(2), MREMAP_MAYMOVE | MREMAP_FIXED,
			  hole.at()));
		u.expect(hole.at());
		EXPECT_EQ(hole.text(50), pattern(pages(16)).substr(pages(3), 50));
		OK(mremap(moved, pages(3), pages(1), 0));
		u.expect(moved);
		/* mremap() with a length of 0 makes a second mapping of the same pages. */
		char *twin = static_cast<char *>(OK(mremap(moved, 0, pages(1), MREMAP_MAYMOVE)));
		u.expect(twin);
		EXPECT_EQ(string(twin, 50), pattern(50));
		OK(munmap(twin, pages(1)));
	}
	u.expect_free();
}

/*
 * To find neighbours for a new mapping, the kernel compares the file that mmap() was given, not the one that serves. So
 * on stock kernels such as 6.12 they stay apart at first. They are merged when another call changes them, as this does.
 */
static void join(const Map &area)
{
	for (int prot : {PROT_NONE, PROT_READ})
		for (const Vma &vma : vmas())
			if (vma.start >= reinterpret_cast<unsigned long>(area.at()) &&
			    vma.end <= reinterpret_cast<unsigned long>(area.at(area.length())) &&
			    !vma.path.empty())
				OK(mprotect(reinterpret_cast<void *>(vma.start), vma.size(), prot));
}

/* Rule 2: neighbours of one file become one vma, with one reference to put. */
CASE(merge_of_neighbours)
{
	Setup u;
	{
		Map area(pages(16), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		Fd file = open_file(u.file(), O_RDONLY);
		auto put = [&](size_t index, size_t count) {
			OK(mmap(area.at(pages(index)), pages(count), PROT_READ,
				MAP_SHARED | MAP_FIXED, file, pages(index)));
			join(area);
		};
		put(0, 4);
		put(8, 4);
		EXPECT_EQ(vmas_of(u.file()).size(), 2u);
		put(4, 4); /* the hole between two */
		EXPECT_EQ(vmas_of(u.file()).size(), 1u);
		put(12, 4); /* behind */
		EXPECT_EQ(vmas_of(u.file()).size(), 1u);
		put(2, 4); /* over what is there */
		EXPECT_EQ(vmas_of(u.file()).size(), 1u);
		u.expect(area.at());
		EXPECT(area.text(pages(16)) == pattern(pages(16)));
		file.reset();
		EXPECT_ERR(umount2(u.mnt.c_str(), 0), EBUSY);
	}
	u.expect_free();
}

/* mremap() moves a piece behind a neighbour that it continues: they become one vma. */
CASE(merge_by_mremap)
{
	Setup u;
	{
		Map area(pages(16), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		Fd file = open_file(u.file(), O_RDONLY);
		OK(mmap(area.at(), pages(8), PROT_READ, MAP_SHARED | MAP_FIXED, file, 0));
		OK(mremap(area.at(pages(4)), pages(4), pages(4), MREMAP_MAYMOVE | MREMAP_FIXED,
			  area.at(pages(12))));
		EXPECT_EQ(vmas_of(u.file()).size(), 2u);
		u.expect(area.at(pages(12)));
		OK(mremap(area.at(pages(12)), pages(4), pages(4), MREMAP_MAYMOVE | MREMAP_FIXED,
			  area.at(pages(4))));
		EXPECT_EQ(vmas_of(u.file()).size(), 1u);
		u.expect(area.at());
		EXPECT(area.text(pages(8)) == pattern(pages(16)).substr(0, pages(8)));
		/* mremap() has left a gap. The area is filled again, as it is unmapped as a whole. */
		OK(mmap(area.at(pages(12)), pages(4), PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	}
	u.expect_free();
}

/* The same in many rounds: a reference that is lost, or put twice, shows at the end. */
CASE(merge_and_split_often)
{
	Setup u;
	{
		Map area(pages(16), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		Fd file = open_file(u.file(), O_RDONLY);
		unsigned random = 12345;
		for (int i = 0; i < 3000; i++) {
			random = random * 1103515245 + 12345;
			size_t start = random >> 16 & 15, count = 1 + (random >> 20 & 7);
			if (start + count > 16)
				count = 16 - start;
			switch (random >> 24 & 3) {
			case 0:
			case 1:
				OK(mmap(area.at(pages(start)), pages(count), PROT_READ,
					MAP_SHARED | MAP_FIXED, file, pages(start)));
				break;
			case 2:
				OK(mmap(area.at(pages(start)), pages(count), PROT_NONE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
				break;
			default:
				if (vma_at(area.at(pages(start))).path == u.file())
					OK(mprotect(area.at(pages(start)), pages(1),
						    random & 0x100 ? PROT_READ : PROT_NONE));
			}
		}
		for (const Vma &vma : vmas_of(u.file()))
			u.expect(reinterpret_cast<void *>(vma.start));
	}
	u.expect_free();
}

/* Rule 2: mappings of different files, or of files that were opened in different ways, stay apart. */
CASE(no_merge_of_different_files)
{
	Setup u;
	{
		Map area(pages(16), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		Fd file = open_file(u.file(), O_RDONLY), other = open_file(u.at("other"), O_RDONLY);
		OK(mmap(area.at(), pages(4), PROT_READ, MAP_SHARED | MAP_FIXED, file, 0));
		OK(mmap(area.at(pages(4)), pages(4), PROT_READ, MAP_SHARED | MAP_FIXED, other,
			pages(4)));
		join(area);
		EXPECT_EQ(vma_at(area.at()).size(), pages(4));
		u.expect(area.at());
		u.expect(area.at(pages(4)), "other");
		/* The branch's own file beside the union's: one inode and one page cache, but two identities. */
		Fd branch = open_file(u.low + "/file", O_RDONLY);
		OK(mmap(area.at(pages(4)), pages(4), PROT_READ, MAP_SHARED | MAP_FIXED, branch,
			pages(4)));
		join(area);
		u.expect(area.at());
		EXPECT_EQ(vma_at(area.at(pages(4))).path, u.low + "/file");
		EXPECT_EQ(vma_at(area.at(pages(4))).inode, stat_of(u.low + "/file").st_ino);
		EXPECT_EQ(vma_at(area.at(pages(3))).path, u.file());
	}
	u.expect_free();
}

/* Rule 2: a file that was opened through two mounts of the union keeps both paths. */
CASE(no_merge_of_different_paths)
{
	Setup u;
	{
		Mounted bound(u.mnt, u.tmp, "", MS_BIND, "");
		Map area(pages(16), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		Fd file = open_file(u.file(), O_RDONLY),
		   same = open_file(u.tmp + "/file", O_RDONLY);
		OK(mmap(area.at(), pages(4), PROT_READ, MAP_SHARED | MAP_FIXED, file, 0));
		OK(mmap(area.at(pages(4)), pages(4), PROT_READ, MAP_SHARED | MAP_FIXED, same,
			pages(4)));
		join(area);
		u.expect(area.at());
		EXPECT_EQ(vma_at(area.at(pages(3))).path, u.file());
		EXPECT_EQ(vma_at(area.at(pages(4))).path, u.tmp + "/file");
	}
	u.expect_free();
}

/* A hole between mappings of two files is filled with the second file: it merges with that neighbour alone. */
CASE(merge_picks_the_right_neighbour)
{
	Setup u;
	{
		Map area(pages(16), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		Fd file = open_file(u.file(), O_RDONLY), other = open_file(u.at("other"), O_RDONLY);
		OK(mmap(area.at(), pages(4), PROT_READ, MAP_SHARED | MAP_FIXED, file, 0));
		OK(mmap(area.at(pages(8)), pages(4), PROT_READ, MAP_SHARED | MAP_FIXED, other,
			pages(8)));
		OK(mmap(area.at(pages(4)), pages(4), PROT_READ, MAP_SHARED | MAP_FIXED, other,
			pages(4)));
		join(area);
		EXPECT_EQ(vma_at(area.at(pages(4))).size(), pages(8));
		EXPECT_EQ(vma_at(area.at()).size(), pages(4));
		u.expect(area.at());
		u.expect(area.at(pages(4)), "other");
		OK(mmap(area.at(pages(4)), pages(4), PROT_READ, MAP_SHARED | MAP_FIXED, file,
			pages(4)));
		join(area);
		EXPECT_EQ(vma_at(area.at()).size(), pages(8));
		EXPECT_EQ(vma_at(area.at(pages(8))).size(), pages(4));
		u.expect(area.at(pages(4)));
		u.expect(area.at(pages(8)), "other");
	}
	u.expect_free();
}

/* remap_file_pages() makes a new vma of the same file. The original aufs leaked a reference here. */
CASE(remap_file_pages_call)
{
	Setup u;
	{
		Map map = u.map("mine", PROT_READ | PROT_WRITE);
		OK(remap_file_pages(map.at(pages(4)), pages(2), 0, 8, 0));
		EXPECT_EQ(map.text(50, pages(4)), pattern(pages(16), 3).substr(pages(8), 50));
		u.expect(map.at(pages(4)), "mine");
		EXPECT_EQ(vma_at(map.at(pages(4))).offset, pages(8));
		/* Back at its offset, it merges again. */
		OK(remap_file_pages(map.at(pages(4)), pages(2), 0, 4, 0));
		join(map);
		EXPECT_EQ(vmas_of(u.at("mine")).size(), 1u);
		u.expect(map.at(pages(4)), "mine");
	}
	u.expect_free();
}

/* An mmap() that fails after it took the file puts all references. */
CASE(failed_mmap_leaves_no_reference)
{
	Setup u;
	{
		Fd file = open_file(u.file(), O_RDONLY);
		for (int i = 0; i < 100; i++) {
			EXPECT_ERR(mmap(nullptr, pages(1), PROT_READ | PROT_WRITE, MAP_SHARED, file,
					0),
				   EACCES);
			EXPECT_ERR(mmap(nullptr, pages(1), PROT_READ, MAP_SHARED, file, 1), EINVAL);
			EXPECT_ERR(mmap(nullptr, 0, PROT_READ, MAP_SHARED, file, 0), EINVAL);
			EXPECT_ERR(mmap(nullptr, size_t(1) << 60, PROT_READ, MAP_SHARED, file, 0),
				   ENOMEM);
			EXPECT_ERR(mmap(nullptr, pages(2), PROT_READ, MAP_SHARED, file,
					INT64_MAX & ~4095),
				   EOVERFLOW);
		}
	}
	u.expect_free();
}

/* execve() drops the old mappings. */
HELPER(nothing_mapped)
{
	return vmas_of(argv[1]).empty() ? 0 : 1;
}

CASE(dropped_by_execve)
{
	Setup u;
	string name = u.file();
	EXPECT_EQ(in_child([&] {
			  Map map = u.map();
			  const char *args[] = {"/proc/self/exe", "--helper", "nothing_mapped",
						name.c_str(), nullptr};
			  execv(args[0], const_cast<char **>(args));
			  return 3;
		  }),
		  0);
	u.expect_free();
}
