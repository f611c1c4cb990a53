// SPDX-License-Identifier: GPL-2.0-only
//
// How much the kernel's slab caches grow: per file that is cached, open or mapped, and per name.

#include "measure.hh"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bench
{
namespace
{

constexpr int files = 2000;

// Bytes of all active objects.
double slabs()
{
	char line[512];
	char name[64];
	unsigned long active = 0;
	unsigned long all = 0;
	unsigned long size = 0;
	double sum = 0;
	FILE *file = std::fopen("/proc/slabinfo", "r");

	if (!file)
		die("/proc/slabinfo: %m");
	while (std::fgets(line, sizeof(line), file)) {
		if (std::sscanf(line, "%63s %lu %lu %lu", name, &active, &all, &size) == 4)
			sum += static_cast<double>(active) * static_cast<double>(size);
	}
	std::fclose(file);
	return sum;
}

void settle()
{
	for (int i = 0; i < 3; ++i) {
		drop_dentries();
		usleep(100000);
	}
}

void say(const Place &place, const char *what, double bytes, long count = files)
{
	std::printf(
		"{\"memory\": \"%s\", \"filesystem\": \"%s\", \"base\": \"%s\", \"bytes\": %.1f}\n",
		what, place.filesystem.c_str(), place.base.c_str(),
		bytes / static_cast<double>(count));
}

// The first number of a file of procfs.
double first_number(const char *path)
{
	double number = 0;
	FILE *file = std::fopen(path, "r");

	if (!file || std::fscanf(file, "%lf", &number) != 1)
		die("%s: no number: %m", path);
	std::fclose(file);
	return number;
}

// The objects in the caches of names, and the bytes of all slabs.
struct Caches {
	double bytes = slabs();
	double dentries = first_number("/proc/sys/fs/dentry-state");
	double inodes = first_number("/proc/sys/fs/inode-nr");
};

// Name NUMBER of those that scripts/benchmark/many_names makes: half of the names of a directory lie on one branch,
// and half on the next. The place "branch" has all branches beside each other.
std::string name_of_many(const Place &place, const Many &many, long number)
{
	const long directory = number / many.in_directory;
	std::string name = "d" + std::to_string(directory) + "/n" + std::to_string(number);

	if (!place.is_branch())
		return name;
	return std::to_string((directory + number % 2) % many.branches) + "/" + name;
}

} // namespace

void measure_memory(Place &place)
{
	static int fds[files];
	static char *mappings[files];
	struct stat status;
	const rlimit limit = {files + 100, files + 100};

	must(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
	must(fchdir(place.fd), place.path.c_str());
	const auto name = [](int i) {
		return "read/cold/" + std::to_string(i);
	};
	// So that the table of descriptors has its size, and the directory is in the caches.
	close(must(fcntl(must(open("read/cold", O_RDONLY), "read/cold"), F_DUPFD, files + 50),
		   "F_DUPFD"));
	settle();
	stat("read/cold", &status);
	double before = slabs();
	for (int i = 0; i < files; ++i)
		must(stat(name(i).c_str(), &status), "stat");
	double after = slabs();
	say(place, "cached file", after - before);
	before = after;
	for (int i = 0; i < files; ++i)
		fds[i] = must(open(name(i).c_str(), O_RDONLY), "open");
	after = slabs();
	say(place, "open file", after - before);
	before = after;
	for (int i = 0; i < files; ++i)
		mappings[i] = map(nullptr, page, PROT_READ, MAP_SHARED, fds[i]);
	after = slabs();
	say(place, "mapping", after - before);
	for (int i = 0; i < files; ++i) {
		munmap(mappings[i], page);
		close(fds[i]);
	}
}

void measure_names(Place &place, const Names &names)
{
	struct stat status;
	const std::string parent = names.prefix.substr(0, names.prefix.rfind('/') + 1);

	must(fchdir(place.fd), place.path.c_str());
	settle();
	must(stat(("./" + parent).c_str(), &status), parent.c_str());
	const double before = slabs();
	for (long i = 0; i < names.count; ++i) {
		const std::string name = names.prefix + std::to_string(i);
		const int result = stat(name.c_str(), &status);
		if ((result == 0) != names.there || (result != 0 && errno != ENOENT))
			die("%s of %s: %m", name.c_str(), place.filesystem.c_str());
	}
	say(place, names.what.c_str(), slabs() - before, names.count);
}

void measure_many(Place &place, const Many &many)
{
	struct stat status;

	must(fchdir(place.fd), place.path.c_str());
	settle();
	const Caches before;
	for (long i = 0; i < many.count; ++i) {
		const std::string name = name_of_many(place, many, i);
		must(stat(name.c_str(), &status), name.c_str());
	}
	const Caches full;
	settle();
	const Caches after;
	std::printf("{\"many\": %ld, \"branches\": %ld, \"filesystem\": \"%s\", \"cached\": %.0f, "
		    "\"left\": %.0f, \"dentries\": %.0f, \"dentries_left\": %.0f, "
		    "\"inodes\": %.0f, \"inodes_left\": %.0f}\n",
		    many.count, many.branches, place.filesystem.c_str(), full.bytes - before.bytes,
		    after.bytes - before.bytes, full.dentries - before.dentries,
		    after.dentries - before.dentries, full.inodes - before.inodes,
		    after.inodes - before.inodes);
}

} // namespace bench
