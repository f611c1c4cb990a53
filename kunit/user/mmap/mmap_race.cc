// SPDX-License-Identifier: GPL-2.0-only
//
// Tasks map, unmap, rename, unlink and look at the same time: only the union's paths are seen, and nothing is left
// afterwards. The work is bounded by rounds, not by time.

#include "proc.hh"

static size_t pages(size_t count)
{
	return count * page_size();
}

struct Setup : Union {
	Setup()
	{
		make_dir(top + "/a");
		make_dir(top + "/b");
		write_file(low + "/file", pattern(pages(16)));
		write_file(top + "/a/mine", pattern(pages(16)));
		mount();
	}
};

/*
 * Forks a process that repeats @body until it is stopped. It is stopped between two rounds, so no child of its own
 * outlives it and keeps the union busy.
 */
class Busy
{
public:
	template <typename Body>
	explicit Busy(Body body)
		: stop_(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1)
	{
		Pipe started;
		pid_ = spawn([&] {
			body(0);
			send_byte(started.write);
			for (unsigned i = 1; !stopped(); i++)
				body(i);
		});
		started.write.reset();
		ASSERT(wait_byte(started.read));
	}
	~Busy()
	{
		__atomic_store_n(&stop_[0], 1, __ATOMIC_RELAXED);
		EXPECT_EQ(wait_for(pid_), 0);
	}
	pid_t pid() const
	{
		return pid_;
	}

private:
	bool stopped()
	{
		return __atomic_load_n(&stop_[0], __ATOMIC_RELAXED) != 0;
	}

	Map stop_; /* shared with the process */
	pid_t pid_;
};

/* All paths of mapped files in @file of @pid are the union's. */
static void expect_union_paths(const Union &u, const char *file, pid_t pid)
{
	for (const Vma &vma : vmas(file, pid))
		if (vma.path.find("/file") != string::npos ||
		    vma.path.find("/mine") != string::npos)
			EXPECT_EQ(vma.path.substr(0, u.mnt.size()), u.mnt);
}

static void map_and_unmap(const Union &u, unsigned round)
{
	static Map area(pages(64), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	Fd file = open_file(u.at(round % 2 ? "file" : "a/mine"), O_RDONLY);
	size_t at = round * 7 % 48;
	OK(mmap(area.at(pages(at)), pages(16), PROT_READ, MAP_SHARED | MAP_FIXED, file, 0));
	area.touch(pages(at + round % 16));
	OK(mprotect(area.at(pages(at + 4)), pages(4), PROT_NONE));
	if (round % 3 == 0)
		OK(mmap(area.at(pages(at + 2)), pages(8), PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

PARAM_CASE(look_while_it_maps, "maps", "smaps", "numa_maps", "map_files")
{
	Setup u;
	string file = ktap::param();
	{
		Busy mapper([&](unsigned round) { map_and_unmap(u, round); });
		for (int i = 0; i < 100; i++) {
			if (file == "map_files") {
				string dir = ktap::format("/proc/%d/map_files", mapper.pid());
				for (const string &name : names_in(dir)) {
					char target[4096];
					ssize_t length = readlink((dir + "/" + name).c_str(),
								  target, sizeof(target));
					if (length > 0)
						EXPECT_NE(string(target, length)
								  .substr(0, u.low.size()),
							  u.low);
				}
			} else if (file == "numa_maps")
				EXPECT(!mentions(file, u.low + "/file", mapper.pid()));
			else
				expect_union_paths(u, file.c_str(), mapper.pid());
		}
	}
	u.unmount();
}

/* A file is renamed while its mapping is shown: the path is one of its names. */
CASE(look_while_it_is_renamed)
{
	Setup u;
	{
		Map map(pages(16), PROT_READ, MAP_SHARED, open_file(u.at("a/mine"), O_RDONLY));
		Busy renamer([&](unsigned round) {
			if (round % 2)
				OK(rename(u.at("b/renamed").c_str(), u.at("a/mine").c_str()));
			else
				OK(rename(u.at("a/mine").c_str(), u.at("b/renamed").c_str()));
		});
		for (int i = 0; i < 500; i++) {
			string path = vma_at(map.at()).path;
			if (path != u.at("a/mine"))
				EXPECT_EQ(path, u.at("b/renamed"));
		}
	}
	u.unmount();
}

/* Files come and go while others map them. */
CASE(map_while_it_is_replaced)
{
	Setup u;
	{
		Busy replacer([&](unsigned round) {
			write_file(u.at("a/new"), pattern(pages(16), round));
			if (round % 2)
				OK(rename(u.at("a/new").c_str(), u.at("a/mine").c_str()));
			else {
				unlink(u.at("a/mine").c_str());
				OK(link(u.at("a/new").c_str(), u.at("a/mine").c_str()));
				OK(unlink(u.at("a/new").c_str()));
			}
		});
		for (int i = 0; i < 300; i++) {
			Fd file(open(u.at("a/mine").c_str(), O_RDONLY | O_CLOEXEC));
			if (file < 0) {
				EXPECT_EQ(ktap::errno_name(errno), "ENOENT");
				continue;
			}
			Map map(pages(16), PROT_READ, MAP_SHARED, file);
			file.reset();
			map.touch(pages(i % 16));
			EXPECT_EQ(vma_at(map.at()).path.substr(0, u.mnt.size()), u.mnt);
		}
	}
	u.unmount();
}

CASE(fork_while_it_maps)
{
	Setup u;
	{
		Busy one([&](unsigned round) { map_and_unmap(u, round); }),
			two([&](unsigned round) {
				static Map map(pages(16), PROT_READ | PROT_WRITE, MAP_SHARED,
					       open_file(u.at("a/mine"), O_RDWR));
				EXPECT_EQ(in_child([&] {
						  map[pages(round % 16)] = char(round);
						  OK(munmap(map.at(pages(round % 16)), pages(1)));
					  }),
					  0);
			});
		for (int i = 0; i < 50; i++) {
			expect_union_paths(u, "maps", one.pid());
			expect_union_paths(u, "smaps", two.pid());
		}
	}
	u.unmount();
}

/* Unmounting is EBUSY while one mapping stays, whatever mappings come and go beside it. */
CASE(unmount_while_it_maps)
{
	Setup u;
	Map map(pages(16), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	{
		Busy mapper([&](unsigned round) { map_and_unmap(u, round); });
		for (int i = 0; i < 300; i++)
			EXPECT_ERR(umount2(u.mnt.c_str(), 0), EBUSY);
	}
	map.unmap();
	u.unmount();
}

/* The caches are dropped while files are mapped and looked at. */
CASE(drop_caches_while_it_maps)
{
	Setup u;
	{
		Busy mapper([&](unsigned round) { map_and_unmap(u, round); });
		Busy looker([&](unsigned) {
			struct stat st;
			EXPECT_OK(stat(u.at("file").c_str(), &st));
			EXPECT_EQ(names_in(u.mnt), (std::vector<string>{"a", "b", "file"}));
		});
		for (int i = 0; i < 20; i++) {
			write_control("/proc/sys/vm/drop_caches", "3");
			expect_union_paths(u, "maps", mapper.pid());
		}
	}
	u.unmount();
}

/* Pages are taken away by truncation while they are mapped and touched. */
CASE(truncate_while_it_is_touched)
{
	Setup u;
	{
		Busy truncater([&](unsigned round) {
			OK(truncate(u.at("a/mine").c_str(), pages(round % 2 ? 16 : 1)));
		});
		for (int i = 0; i < 100; i++) {
			int status = in_child([&] {
				Map map(pages(16), PROT_READ | PROT_WRITE, MAP_SHARED,
					open_file(u.at("a/mine"), O_RDWR));
				for (int page = 0; page < 16; page++)
					map[pages(page)] = 'x';
			});
			if (status != 0)
				EXPECT_EQ(status, 128 + SIGBUS);
		}
	}
	u.unmount();
}
