// SPDX-License-Identifier: GPL-2.0-only

#include "proc.hh"

#include <sys/ioctl.h>

static string pid_dir(pid_t pid)
{
	return pid ? ktap::format("/proc/%d", pid) : "/proc/self";
}

long Vma::figure(const string &name) const
{
	size_t at = rest.find(name + ":");
	long value = -1;
	if (at != string::npos)
		sscanf(rest.c_str() + at + name.size() + 1, " %ld", &value);
	return value;
}

std::vector<Vma> vmas(const string &file, pid_t pid)
{
	std::vector<Vma> list;
	string text = read_file(pid_dir(pid) + "/" + file);
	size_t at = 0;
	while (at < text.size()) {
		size_t end = text.find('\n', at);
		string line = text.substr(at, end - at);
		at = end + 1;
		Vma vma;
		char perms[8] = "";
		unsigned major_number, minor_number;
		int path_at = 0;
		int found = sscanf(line.c_str(), "%lx-%lx %7s %lx %x:%x %lu %n", &vma.start,
				   &vma.end, perms, &vma.offset, &major_number, &minor_number,
				   &vma.inode, &path_at);
		if (found < 7) {
			if (!list.empty())
				list.back().rest += line + "\n";
			continue;
		}
		vma.perms = perms;
		vma.device = makedev(major_number, minor_number);
		vma.path = line.substr(path_at);
		list.push_back(vma);
	}
	return list;
}

Vma vma_at(const void *address, const string &file, pid_t pid)
{
	unsigned long at = reinterpret_cast<unsigned long>(address);
	for (const Vma &vma : vmas(file, pid))
		if (vma.start <= at && at < vma.end)
			return vma;
	ktap::fail(__FILE__, __LINE__,
		   ktap::format("%s shows a mapping at %p", file.c_str(), address));
	throw ktap::Abort{};
}

std::vector<Vma> vmas_of(const string &path, pid_t pid)
{
	std::vector<Vma> found;
	for (const Vma &vma : vmas("maps", pid))
		if (vma.path == path)
			found.push_back(vma);
	return found;
}

bool mentions(const string &file, const string &part, pid_t pid)
{
	return read_file(pid_dir(pid) + "/" + file).find(part) != string::npos;
}

string map_files_name(const Vma &vma, pid_t pid)
{
	return ktap::format("%s/map_files/%lx-%lx", pid_dir(pid).c_str(), vma.start, vma.end);
}

/* struct procmap_query of linux/fs.h. The headers that the tests are built with may be older. */
struct procmap_query_args {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};

bool query_map(const void *address, MapQuery &answer)
{
	char name[4096] = "";
	procmap_query_args args = {};
	args.size = sizeof(args);
	args.query_addr = reinterpret_cast<uint64_t>(address);
	args.vma_name_addr = reinterpret_cast<uint64_t>(name);
	args.vma_name_size = sizeof(name);
	Fd maps = open_file("/proc/self/maps", O_RDONLY);
	if (ioctl(maps, _IOWR('f', 17, procmap_query_args), &args)) {
		if (errno == ENOTTY)
			return false;
		int error = errno;
		ktap::fail(__FILE__, __LINE__,
			   ktap::format("PROCMAP_QUERY works\n  it failed with %s",
					ktap::errno_name(error).c_str()));
		throw ktap::Abort{};
	}
	answer.path = name;
	answer.inode = args.inode;
	answer.device = makedev(args.dev_major, args.dev_minor);
	return true;
}

bool reports_union_inode()
{
	return kernel().at_least(6, 8);
}

static string identity(dev_t device, unsigned long inode)
{
	return ktap::format("%x:%x %lu", major(device), minor(device), inode);
}

void expect_reported(const void *address, const string &path, const struct stat &of_union,
		     const struct stat &of_branch)
{
	const struct stat &shown = reports_union_inode() ? of_union : of_branch;
	string expected = identity(shown.st_dev, shown.st_ino);
	for (const char *file : {"maps", "smaps"}) {
		Vma vma = vma_at(address, file);
		EXPECT_EQ(vma.path, path);
		EXPECT_EQ(identity(vma.device, vma.inode), expected);
	}
	Vma vma = vma_at(address);
	EXPECT_EQ(link_target(map_files_name(vma)), path);
	struct stat through = stat_of(map_files_name(vma));
	EXPECT_EQ(identity(through.st_dev, through.st_ino),
		  identity(of_union.st_dev, of_union.st_ino));
	if (access("/proc/self/numa_maps", R_OK) == 0) {
		string all = read_file("/proc/self/numa_maps");
		size_t at = all.find(ktap::format("%08lx ", vma.start));
		ASSERT_NE(at, string::npos);
		EXPECT_HAS(all.substr(at, all.find('\n', at) - at), " file=" + path);
	}
	MapQuery answer;
	if (query_map(address, answer)) {
		EXPECT_EQ(answer.path, path);
		EXPECT_EQ(identity(answer.device, answer.inode), expected);
	} else
		EXPECT(!kernel().at_least(6, 11));
}
