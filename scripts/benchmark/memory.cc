// SPDX-License-Identifier: GPL-2.0-only
//
// What the kernel's slab caches have grown by, per file that is in the caches, open or mapped.

#include "measure.hh"

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

void say(const Place &place, const char *what, double bytes)
{
	std::printf(
		"{\"memory\": \"%s\", \"filesystem\": \"%s\", \"base\": \"%s\", \"bytes\": %.1f}\n",
		what, place.filesystem.c_str(), place.base.c_str(), bytes / files);
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

} // namespace bench
