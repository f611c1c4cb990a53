// SPDX-License-Identifier: GPL-2.0-only
//
// usage: measure --list | --calibrate
//        measure [--operations [!]PATTERN,...] [--size N] [--repeat INSTRUCTIONS CONTROL DONE]
//                [--memory] [--memory-names WHAT there|absent PREFIX COUNT]
//                [--memory-many COUNT IN-DIRECTORY BRANCHES]
//                [--processors OPERATION TASKS COUNT in-turn|at-once]
//                [--place FILESYSTEM BASE DIRECTORY] [--mount FILESYSTEM BASE DIRECTORY TYPE OPTIONS]...
//
// Counts the instructions of operations on each of the places, in the test machine of
// `scripts/vm --icount`, and prints a line of JSON for each operation, size and place:
// "batches" are instructions per operation of each batch. The places take turns, batch by batch, so
// that other work of the kernel meets all of them. A pattern is NAME or NAME:SIZE. With --repeat each
// operation is done for so many instructions. If its batches have a fixed number of operations, as many
// batches are done as are measured. Nothing is printed then: `perf record --control` measures. It is
// told through CONTROL when to begin and to stop, and answers in DONE.

#include "measure.hh"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

namespace bench
{

void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	std::fputs("measure: ", stderr);
	std::vfprintf(stderr, format, arguments);
	std::fputs("\n", stderr);
	va_end(arguments);
	std::fflush(stdout);
	_exit(1);
}

char *map(void *where, size_t length, int protection, int flags, int fd)
{
	void *got = mmap(where, length, protection, flags, fd, 0);
	if (got == MAP_FAILED)
		die("mmap: %m");
	return static_cast<char *>(got);
}

char *reserve(size_t length)
{
	return map(nullptr, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
}

void write_file(const char *path, const char *text)
{
	const int fd = must(open(path, O_WRONLY), path);

	must(write(fd, text, std::strlen(text)), path);
	close(fd);
}

void drop_dentries()
{
	write_file("/proc/sys/vm/drop_caches", "2");
}

namespace
{

// The guest's timer ticks each 4 million instructions. Then the kernel does deferred work, such as
// RCU's callbacks. A batch begins soon after a tick, when no such work is left, and is to end before
// the next tick. A longer batch has its share of that work.
constexpr std::int64_t tick = 4'000'000, after_tick = 200'000, settled = 60'000'000;
constexpr std::uint64_t batch_length = 2'500'000;
constexpr unsigned batches = 15, batches_of_long = 7;
constexpr std::uint64_t is_long = 20'000'000;

// The serial line is silent again before anything is measured.
void drain()
{
	std::fflush(stdout);
	tcdrain(STDOUT_FILENO);
}

std::int64_t now()
{
	timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

// When the timer ticks, modulo its period: the median of the moments at which this program was interrupted.
std::int64_t phase_of_ticks()
{
	std::vector<std::int64_t> phases;
	std::int64_t last = now();

	while (phases.size() < 15) {
		const std::int64_t time = now();
		if (time - last > 1000)
			phases.push_back(last % tick);
		last = time;
	}
	std::sort(phases.begin(), phases.end());
	return phases[phases.size() / 2];
}

// Sleeps until no deferred work is left and a tick has just been. Sleep takes no time outside of the guest.
void settle()
{
	static const std::int64_t phase = phase_of_ticks();
	std::int64_t then = now() + settled;

	then += tick - (then - phase) % tick + after_tick;
	const timespec time = {then / 1'000'000'000, then % 1'000'000'000};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr) != 0)
		;
}

struct Running {
	Place &place;
	std::unique_ptr<Operation> operation;
	unsigned count = 1;
	std::vector<double> results;
};

// perf, which samples this process while it is enabled.
class Profiler
{
public:
	Profiler(const char *control, const char *done)
		: control_(must(open(control, O_WRONLY), control)),
		  done_(must(open(done, O_RDONLY), done))
	{
	}
	Profiler(const Profiler &) = delete;
	Profiler &operator=(const Profiler &) = delete;
	~Profiler()
	{
		close(control_);
		close(done_);
	}
	void tell(const std::string &what) const
	{
		char answer[64];

		must(write(control_, what.c_str(), what.size()), "perf's FIFO");
		must(read(done_, answer, sizeof(answer)), "perf's FIFO");
	}

private:
	int control_, done_;
};

void enter(const Place &place)
{
	// A place without a descriptor is one that the operation mounts.
	if (place.fd >= 0)
		must(fchdir(place.fd), place.path.c_str());
}

// Runs one batch; the instructions of a single operation.
double batch(const Kind &kind, Running &one, const Profiler *profiler = nullptr)
{
	enter(one.place);
	one.operation->begin(one.count);
	if (kind.count == 0)
		one.operation->run(std::max(1U, one.count / 16));
	settle();
	if (profiler)
		profiler->tell("enable\n");
	const std::uint64_t took = one.operation->run(one.count);
	if (profiler)
		profiler->tell("disable\n");
	one.operation->end();
	return static_cast<double>(took) / one.count / kind.divisor;
}

void report(const Kind &kind, long size, const Running &one)
{
	std::printf(
		"{\"operation\": \"%s\", \"size\": %ld, \"filesystem\": \"%s\", \"base\": \"%s\", "
		"\"count\": %u, \"batches\": [",
		kind.name, size, one.place.filesystem.c_str(), one.place.base.c_str(), one.count);
	const char *comma = "";
	for (const double result : one.results) {
		std::printf("%s%.2f", comma, result);
		comma = ", ";
	}
	std::printf("]}\n");
}

void measure(const Kind &kind, long size, std::vector<Place> &places)
{
	std::vector<Running> all;
	unsigned rounds = batches;

	for (Place &place : places) {
		Running one{place, kind.make(place, size), kind.count ? kind.count : 1, {}};
		enter(place);
		if (one.operation->possible())
			all.push_back(std::move(one));
	}
	for (Running &one : all) {
		if (kind.count == 0) {
			batch(kind, one);
			const double took = batch(kind, one) * kind.divisor;
			if (took > is_long)
				rounds = batches_of_long;
			// A power of two, so that a little more or less does not change it.
			while (one.count * 2 * took <= batch_length && one.count < 1024)
				one.count *= 2;
		}
		batch(kind, one);
	}
	if (kind.batches)
		rounds = kind.batches;
	for (unsigned round = 0; round < rounds; ++round) {
		for (Running &one : all)
			one.results.push_back(batch(kind, one));
	}
	for (const Running &one : all)
		report(kind, size, one);
	drain();
}

void repeat(const Kind &kind, long size, std::vector<Place> &places, double instructions,
	    const Profiler &profiler)
{
	const unsigned rounds = kind.count ? kind.batches : 1;

	for (Place &place : places) {
		Running one{place, kind.make(place, size), kind.count ? kind.count : 1, {}};
		enter(place);
		if (!one.operation->possible())
			continue;
		const double took = batch(kind, one) * kind.divisor;
		if (kind.count == 0)
			one.count = static_cast<unsigned>(std::max(1.0, instructions / took));
		for (unsigned round = 0; round < rounds; ++round)
			batch(kind, one, &profiler);
	}
}

double raw_clock()
{
	timespec now;
	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Prints how many ticks known numbers of instructions take, and how long by the raw clock.
void calibrate()
{
	std::uint64_t least = ~0ULL;
	std::uint64_t copied = ~0ULL;
	double raw = 1e18;

	for (int i = 0; i < 9; ++i) {
		std::uint64_t loops = 500'000;
		const double raw_began = raw_clock();
		std::uint64_t begin = ticks();
		asm volatile("1: dec %0\n\tjnz 1b" : "+r"(loops) : : "cc");
		least = std::min(least, ticks() - begin);
		raw = std::min(raw, raw_clock() - raw_began);
		static char from[4096];
		static char to[4096];
		char *source = from;
		char *target = to;
		std::uint64_t left = sizeof(from);
		begin = ticks();
		asm volatile("rep movsb" : "+S"(source), "+D"(target), "+c"(left) : : "memory");
		copied = std::min(copied, ticks() - begin);
	}
	std::printf("{\"calibrate\": \"a loop of 1000000 instructions\", \"rdtsc\": %llu, "
		    "\"monotonic_raw\": %.0f, \"rep_movsb_4096\": %llu}\n",
		    static_cast<unsigned long long>(least), raw,
		    static_cast<unsigned long long>(copied));
	drain();
}

// Whether the pattern, NAME or NAME:SIZE, fits. guest.py has the same rule.
bool fits(const std::string &pattern, const char *name, long size)
{
	const size_t colon = pattern.find(':');

	if (fnmatch(pattern.substr(0, colon).c_str(), name, 0) != 0)
		return false;
	return colon == std::string::npos ||
	       fnmatch(pattern.c_str() + colon + 1, std::to_string(size).c_str(), 0) == 0;
}

// One of the patterns fits, and none that begins with "!".
bool chosen(const std::string &patterns, const char *name, long size)
{
	bool found = false;

	for (size_t at = 0; at <= patterns.size();) {
		const size_t comma = std::min(patterns.find(',', at), patterns.size());
		const std::string pattern = patterns.substr(at, comma - at);
		if (pattern.starts_with('!')) {
			if (fits(pattern.substr(1), name, size))
				return false;
		} else {
			found = found || fits(pattern, name, size);
		}
		at = comma + 1;
	}
	return found;
}

constexpr auto all_kinds = {&mapping_kinds, &file_kinds, &name_kinds, &process_kinds};

void list()
{
	for (const auto kinds : all_kinds) {
		for (const Kind &kind : kinds()) {
			for (const long size : kind.sizes)
				std::printf("%s %ld\n", kind.name, size);
		}
	}
}

// The options of the command line.
struct Settings {
	std::vector<Place> places;
	std::string patterns = "*";
	long size_of_places = -1;
	bool memory = false;
	Names names;
	Many many;
	Processors processors;
	double repeats = 0;
	std::unique_ptr<Profiler> profiler;
};

// As take_option(), for the options about memory and processors; 0 for all others.
int take_other_option(Settings &settings, char **words, int left)
{
	const std::string option = words[0];

	if (option == "--memory") {
		settings.memory = true;
		return 1;
	}
	if (option == "--memory-names" && left >= 4) {
		settings.names = {words[1], words[3], std::atol(words[4]),
				  std::string(words[2]) == "there"};
		return 5;
	}
	if (option == "--memory-many" && left >= 3) {
		settings.many = {std::atol(words[1]), std::atol(words[2]), std::atol(words[3])};
		return 4;
	}
	if (option == "--processors" && left >= 4) {
		settings.processors = {words[1], static_cast<unsigned>(std::atol(words[2])),
				       static_cast<unsigned>(std::atol(words[3])),
				       std::string(words[4]) == "in-turn"};
		return 5;
	}
	return 0;
}

// Takes the option at @words, with @left more words behind it; how many words it has.
int take_option(Settings &settings, char **words, int left)
{
	const std::string option = words[0];

	if (const int taken = take_other_option(settings, words, left); taken > 0)
		return taken;
	if (option == "--operations" && left >= 1) {
		settings.patterns = words[1];
		return 2;
	}
	if (option == "--repeat" && left >= 3) {
		settings.repeats = std::atof(words[1]);
		settings.profiler = std::make_unique<Profiler>(words[2], words[3]);
		return 4;
	}
	if (option == "--size" && left >= 1) {
		settings.size_of_places = std::atol(words[1]);
		return 2;
	}
	if (option == "--place" && left >= 3) {
		Place place{words[1], words[2], words[3], "", "", ""};
		place.writable = place.is_branch() ? "lower" : "upper";
		place.fd = must(open(words[3], O_RDONLY | O_DIRECTORY), words[3]);
		settings.places.push_back(place);
		return 4;
	}
	if (option == "--mount" && left >= 5) {
		settings.places.push_back({words[1], words[2], words[3], "", words[4], words[5]});
		return 6;
	}
	die("unknown or incomplete option '%s'", words[0]);
}

void measure_chosen(const Kind &kind, Settings &settings)
{
	for (const long size : kind.sizes) {
		// An operation of size -1 is about the places themselves: it takes their size, and runs with --size
		// alone.
		if ((size == -1) != (settings.size_of_places >= 0))
			continue;
		const long actual = size == -1 ? settings.size_of_places : size;
		if (!chosen(settings.patterns, kind.name, actual))
			continue;
		if (settings.profiler)
			repeat(kind, actual, settings.places, settings.repeats, *settings.profiler);
		else
			measure(kind, actual, settings.places);
	}
}

void run(int argc, char **argv)
{
	const std::string first = argc > 1 ? argv[1] : "";
	Settings settings;

	if (first == "--list") {
		list();
		return;
	}
	if (first == "--calibrate") {
		calibrate();
		return;
	}
	for (int i = 1; i < argc;)
		i += take_option(settings, argv + i, argc - i - 1);
	must(prctl(PR_SET_TIMERSLACK, 1UL), "PR_SET_TIMERSLACK");
	for (Place &place : settings.places) {
		if (settings.memory)
			measure_memory(place);
		if (settings.names.count > 0)
			measure_names(place, settings.names);
		if (settings.many.count > 0)
			measure_many(place, settings.many);
		if (settings.processors.tasks > 0)
			measure_processors(place, settings.processors);
	}
	if (settings.memory || settings.names.count > 0 || settings.many.count > 0 ||
	    settings.processors.tasks > 0)
		return;
	for (const auto kinds : all_kinds) {
		for (const Kind &kind : kinds())
			measure_chosen(kind, settings);
	}
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
	bench::run(argc, argv);
	return 0;
}
