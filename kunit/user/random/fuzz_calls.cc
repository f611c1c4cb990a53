// SPDX-License-Identifier: GPL-2.0-only
//
// System calls on a union, made at random from a grammar (lib/call_kinds.cc): each ends as its manual page or aufs(5)
// says, nothing hangs, and nothing of the union is in use afterwards. In one case each string of calls gets a new
// union. In the other many strings use one union, beside a process that changes the branches directly and one that
// remounts. With KCOV (KERNELS=debug) a string that reaches more code of the module is shortened, printed, and changed
// further. Without KCOV the strings of fuzz_calls.corpus are. AUFS_SEED chooses other calls, AUFS_STEPS how many
// strings, or AUFS_STRESS how many seconds of each case. Strings that are found go to the directory AUFS_CORPUS, and
// those in it are known as well.
//
// Combinations: tmpfs ext4+xfs

#include "calls.hh"
#include "intruder.hh"

#include <algorithm>
#include <memory>
#include <set>
#include <unordered_set>

#include <sched.h>
#include <sys/ioctl.h>

#include <linux/kcov.h>

namespace
{

/* The places in the module's code that were reached. */
class Coverage
{
public:
	using Places = std::set<uint64_t>;

	Coverage();
	bool is_there() const
	{
		return fd_ >= 0;
	}
	/* Begins to record the places that this process reaches. */
	void begin() const
	{
		if (!is_there())
			return;
		*at(0) = 0;
		OK(ioctl(fd_, KCOV_ENABLE, KCOV_TRACE_PC));
	}
	/* Returns the places that the last process reached and none before it. They are known from now on. */
	Places learn();
	/* Whether the last process has reached all of these. */
	bool has(Places places) const;
	size_t known() const
	{
		return known_.size();
	}

private:
	static constexpr uint64_t words = 1 << 18;

	volatile uint64_t *at(uint64_t word) const
	{
		return reinterpret_cast<uint64_t *>(words_->at()) + word;
	}
	template <typename Visit> void for_each(Visit visit) const
	{
		for (uint64_t i = 1; i <= *at(0) && i < words; i++)
			if (*at(i) >= from_ && *at(i) < to_)
				visit(*at(i));
	}

	Fd fd_;
	std::unique_ptr<Map> words_;
	uint64_t from_ = 0, to_ = UINT64_MAX;
	std::unordered_set<uint64_t> known_;
};

Coverage::Coverage() : fd_(open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC))
{
	if (!is_there())
		return;
	OK(ioctl(fd_, KCOV_INIT_TRACE, words));
	words_ = std::make_unique<Map>(words * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED,
				       fd_);
	/* The kernel may report places in all its code. */
	string modules = "\n" + read_file("/proc/modules");
	size_t line = modules.find("\naufs ");
	unsigned long size, address;
	if (line != string::npos &&
	    sscanf(modules.c_str() + line, " aufs %lu %*s %*s %*s %lx", &size, &address) == 2) {
		from_ = address;
		to_ = address + size;
	}
}

Coverage::Places Coverage::learn()
{
	Places fresh;
	for_each([&](uint64_t place) {
		if (known_.insert(place).second)
			fresh.insert(place);
	});
	return fresh;
}

bool Coverage::has(Places places) const
{
	for_each([&](uint64_t place) { places.erase(place); });
	return places.empty();
}

time_t now()
{
	timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

/* Counts in memory that the processes share. */
struct Counts {
	unsigned long calls, worked, remounts, remounted;
};

/* A union over branches with their usual first content. */
class Stage
{
public:
	Stage(Union &u, uint8_t config);
	/* Expects that nobody uses the union any more. */
	~Stage();
	/* Makes the calls in another process, which has to end well. */
	void run(const Input &input, bool beside, const Coverage &coverage, Counts &counts) const;
	/* Until @stop: changes the branches directly; remount() changes their list. */
	void intrude(uint64_t seed, const Map &stop) const;
	void remount(uint64_t seed, const Map &stop, Counts &counts) const;

private:
	Union &u_;
	CallBranches branches_;
	string extra_, outside_;
};

Stage::Stage(Union &u, uint8_t config)
	: u_(u), branches_{u.top + "/rw", u.top + "/rw2", u.low + "/ro", u.low2 + "/module"},
	  extra_(u.low2 + "/extra"), outside_(u.top + "/outside")
{
	branches_.fill();
	for (const string &dir : {outside_, outside_ + "/mounted", extra_, extra_ + "/dir0"})
		make_dir(dir);
	write_file(extra_ + "/a", "extra");
	u_.mount(branches_.options(config), branches_.flags(config));
}

/* A mount of the union and each open file count as uses of the module. */
void expect_module_unused()
{
	const unsigned tries = 40 * ktap::patience();
	const string count = "/sys/module/aufs/refcnt";
	/* A module that is built in has no count. */
	if (!exists(count))
		return;
	/* The kernel's own threads put some references a little later. */
	for (unsigned i = 0; i < tries && read_file(count) != "0\n"; i++)
		usleep(50000);
	EXPECT_EQ(read_file(count), "0\n");
}

Stage::~Stage()
{
	ktap::guarded([this] {
		u_.unmount();
		expect_module_unused();
		for (const string &dir : {branches_.rw, branches_.rw2, branches_.ro,
					  branches_.module, extra_, outside_})
			remove_tree(dir);
	});
}

void Stage::run(const Input &input, bool beside, const Coverage &coverage, Counts &counts) const
{
	int status = in_child([&] {
		coverage.begin();
		counts.worked += do_calls(input, u_.mnt, beside);
		counts.calls += input.calls.size();
	});
	EXPECT_EQ(status, 0);
}

void Stage::intrude(uint64_t seed, const Map &stop) const
{
	/* Mounts over directories go with their namespace. */
	OK(unshare(CLONE_NEWNS));
	OK(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
	Intruder intruder({branches_.rw, branches_.rw2, branches_.ro, branches_.module}, outside_,
			  seed);
	while (!stop[0])
		intruder.step();
	intruder.end();
}

void Stage::remount(uint64_t seed, const Map &stop, Counts &counts) const
{
	static constexpr int may_be[] = {0, EBUSY, EINVAL, EROFS, ESTALE, EIO, EREMOTE};
	const string &rw = branches_.rw, &rw2 = branches_.rw2, &module = branches_.module;
	const string all[] = {
		"append:" + extra_,
		"add:1:" + extra_,
		"del:" + extra_,
		"detach:" + extra_,
		"append:" + module,
		"add:1:" + module,
		"del:" + module,
		"detach:" + module,
		"replace:" + module + "=" + extra_,
		"replace:" + extra_ + "=" + module,
		"add:1:" + rw2 + "=rw",
		"detach:" + rw2,
		"mod:" + rw2 + "=ro",
		"mod:" + rw2 + "=rw",
		"mod:" + rw + "=ro",
		"mod:" + rw + "=rw",
		"udba=none",
		"udba=reval",
		"udba=notify",
		"create=rr",
		"create=tdp",
		"cpup=bu",
		"sum",
		"nosum",
	};
	Random random(seed);
	while (!stop[0]) {
		const string &options = random.pick(all);
		unsigned long flags = MS_REMOUNT | (random.one_in(8) ? MS_RDONLY : 0);
		int result = ::mount("none", u_.mnt.c_str(), "aufs", flags, options.c_str());
		int error = result ? errno : 0;
		counts.remounts++;
		counts.remounted += !error;
		if (!std::count(std::begin(may_be), std::end(may_be), error))
			ktap::fail(__FILE__, __LINE__,
				   "an errno that a remount may end with\n  " + options + ": " +
					   ktap::errno_name(error));
	}
}

class Fuzzer
{
public:
	Fuzzer(Union &u, Random &random);
	/* Makes the known strings, so that "new" means places that those do not reach. */
	void replay();
	void alone(unsigned long steps);
	void beside_others(unsigned long steps);
	void finish() const;

private:
	bool goes_on(unsigned long done, unsigned long steps) const;
	void read_inputs(const string &path);
	bool is_well(const Input &input) const;
	bool run_alone(const Input &input);
	Input next();
	void change(Input &input);
	void keep_if_new(const Input &input, bool alone);

	Union &u_;
	Random &random_;
	Coverage coverage_;
	std::vector<Input> corpus_;
	string directory_;
	time_t end_ = 0; /* if the time counts */
	Map memory_;
	Counts &counts_;
};

Fuzzer::Fuzzer(Union &u, Random &random)
	: u_(u), random_(random),
	  memory_(sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1),
	  counts_(*new(memory_.at()) Counts())
{
	string program = link_target("/proc/self/exe");
	read_inputs(program.substr(0, program.rfind('/')) + "/fuzz_calls.corpus");
	const char *given = getenv("AUFS_CORPUS");
	directory_ = given ? given : "";
	if (!directory_.empty())
		for (const string &name : names_in(directory_))
			read_inputs(directory_ + "/" + name);
	ASSERT(!corpus_.empty());
	if (const char *seconds = getenv("AUFS_STRESS"))
		end_ = now() + atol(seconds);
}

bool Fuzzer::goes_on(unsigned long done, unsigned long steps) const
{
	/* Users that wait for hours want to see progress. */
	if (done && done % 1000 == 0)
		ktap::say(ktap::format("%lu strings", done));
	return !ktap::shared->failures && (end_ ? now() < end_ : done < steps);
}

void Fuzzer::read_inputs(const string &path)
{
	string text = read_file(path) + "\n";
	for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
		string line = text.substr(at, text.find('\n', at) - at);
		if (!line.empty() && line[0] != '#')
			corpus_.push_back(Input::parse(line));
	}
}

/* Whether there was no failure so far. Prints the last string if there was one. */
bool Fuzzer::is_well(const Input &input) const
{
	if (!ktap::shared->failures)
		return true;
	ktap::say("it was: " + input.text());
	return false;
}

bool Fuzzer::run_alone(const Input &input)
{
	Stage(u_, input.config).run(input, false, coverage_, counts_);
	return is_well(input);
}

void Fuzzer::replay()
{
	for (const Input &input : corpus_) {
		if (!run_alone(input))
			return;
		if (coverage_.is_there())
			(void)coverage_.learn();
	}
	ktap::say(ktap::format("%zu strings are known", corpus_.size()));
}

/* Adds a string that reached new places to the corpus. If time counts, unneeded calls are left out first. */
void Fuzzer::keep_if_new(const Input &input, bool alone)
{
	if (!coverage_.is_there())
		return;
	Coverage::Places fresh = coverage_.learn();
	if (fresh.empty())
		return;
	Input kept = input;
	for (size_t i = kept.calls.size(); alone && end_ && i-- > 0;) {
		Input shorter = kept;
		shorter.calls.erase(shorter.calls.begin() + i);
		if (run_alone(shorter) && coverage_.has(fresh))
			kept = shorter;
	}
	corpus_.push_back(kept);
	string text = kept.text();
	ktap::say(
		ktap::format("found %zu places, %zu in all, by ", fresh.size(), coverage_.known()) +
		text);
	if (!directory_.empty())
		write_file(directory_ + ktap::format("/%016zx", std::hash<string>()(text)),
			   text + "\n");
}

void Fuzzer::change(Input &input)
{
	std::vector<Call> &calls = input.calls;
	size_t place = random_.below(calls.size() + 1);
	unsigned what = random_.below(7);
	if (what == 0) {
		input.config = random_.below(256);
	} else if (what == 1 || place == calls.size()) {
		calls.insert(calls.begin() + place, random_call(random_));
	} else if (what == 2) {
		calls[place].kind = random_call(random_).kind;
	} else if (what == 3) {
		uint8_t Call::*numbers[] = {&Call::x, &Call::y, &Call::z};
		uint8_t &number = calls[place].*random_.pick(numbers);
		number = random_.one_in(2) ? number + 1 : random_.below(256);
	} else if (what == 4) {
		calls.erase(calls.begin() + place);
	} else if (what == 5) {
		std::swap(calls[place], calls[random_.below(calls.size())]);
	} else {
		const Input &other = random_.pick(corpus_);
		calls.insert(calls.begin() + place, other.calls.begin(), other.calls.end());
	}
}

Input Fuzzer::next()
{
	constexpr size_t most = 24;
	Input input;
	if (random_.one_in(8)) {
		input.config = random_.below(256);
		for (unsigned i = 1 + random_.below(most); i; i--)
			input.calls.push_back(random_call(random_));
		return input;
	}
	input = random_.pick(corpus_);
	for (unsigned i = 1 + random_.below(4); i; i--)
		change(input);
	if (input.calls.size() > most)
		input.calls.resize(most);
	return input;
}

void Fuzzer::alone(unsigned long steps)
{
	for (unsigned long done = 0; goes_on(done, steps); done++) {
		Input input = next();
		if (run_alone(input))
			keep_if_new(input, true);
	}
}

void Fuzzer::beside_others(unsigned long steps)
{
	constexpr unsigned on_one = 20;
	for (unsigned long done = 0; goes_on(done, steps);) {
		Stage stage(u_, random_.below(256));
		Map stop(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
		uint64_t seed = random_.below(1 << 30);
		pid_t intruder = spawn([&] { stage.intrude(seed, stop); });
		pid_t remounter = spawn([&] { stage.remount(seed, stop, counts_); });
		for (unsigned i = 0; i < on_one && !ktap::shared->failures; i++, done++) {
			Input input = next();
			stage.run(input, true, coverage_, counts_);
			if (is_well(input))
				keep_if_new(input, false);
		}
		stop[0] = 1;
		EXPECT_EQ(wait_for(intruder), 0);
		EXPECT_EQ(wait_for(remounter), 0);
	}
}

void Fuzzer::finish() const
{
	string reached = "no KCOV here";
	if (coverage_.is_there()) {
		reached = ktap::format("%zu places reached", coverage_.known());
		/* The module's C has fewer places: this shows that its C++ reports too. */
		EXPECT_GT(coverage_.known(), 1000u);
	}
	ktap::say(ktap::format(
		"%lu calls, of which %lu worked; %lu remounts, of which %lu worked; %s",
		counts_.calls, counts_.worked, counts_.remounts, counts_.remounted,
		reached.c_str()));
	/* A run in which few calls work shows nothing. */
	EXPECT_GT(counts_.worked * 10, counts_.calls);
}

} // namespace

CASE(calls_alone)
{
	Union u;
	Random random(chosen_seed());
	Fuzzer fuzzer(u, random);
	fuzzer.replay();
	fuzzer.alone(chosen_steps(120));
	fuzzer.finish();
}

CASE(calls_beside_others)
{
	Union u;
	Random random(chosen_seed());
	Fuzzer fuzzer(u, random);
	fuzzer.replay();
	fuzzer.beside_others(chosen_steps(120));
	fuzzer.finish();
}
