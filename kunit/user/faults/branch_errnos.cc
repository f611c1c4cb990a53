// SPDX-License-Identifier: GPL-2.0-only
//
// One request to a branch's filesystem goes wrong: for each operation of the union, each request that it makes, and
// each errno that a server may answer with, in time, or late, after the waiting task was killed. The operation reports
// the errno or does without the request. Users see the old state or the new one. AUFS_SEED chooses other requests,
// AUFS_STEPS how many in each case. 1000000 is all of them; LIMIT gives a case the time for that.
//
// Combinations: tmpfs

#include "attempts.hh"
#include "served.hh"

#include <algorithm>
#include <memory>

static constexpr size_t all_of_them = ~size_t(0);

static std::vector<ServedAs> all_settings()
{
	std::vector<ServedAs> settings;
	for (Place place : {Place::upper, Place::lower, Place::lower_rw})
		for (bool is_new : {false, true})
			settings.push_back({place, is_new});
	return settings;
}

/* An errno that an attempt may return beside @injected, the one that its request got. */
struct Answer {
	const char *attempt; /* null: any */
	uint32_t opcode; /* 0: any */
	int injected, answer; /* 0: any */
};

static const Answer answers[] = {
	/* A file that users see and the branch does not have was changed behind the union's back. */
	{nullptr, 0, ENOENT, ESTALE},
	/* After ESTALE the VFS tries again, and finds the object that the first try has made. */
	{"create", 0, ESTALE, EEXIST},
	{"create_where_one_was", 0, ESTALE, EEXIST},
	{"create_below", 0, ESTALE, EEXIST},
	/* A fault on a page that cannot be read has no other errno. */
	{"mapped_read", FUSE_READ, 0, EFAULT},
	{"mapped_write", FUSE_READ, 0, EFAULT},
	/* An msync of a page that could not be written back earlier has no other errno, either. */
	{"mapped_write", FUSE_WRITE, 0, EIO},
};

static bool may_answer(const Attempt &attempt, const Fault &fault, int error)
{
	if (error == fault.error)
		return true;
	return std::any_of(std::begin(answers), std::end(answers), [&](const Answer &one) {
		return (!one.attempt || !strcmp(one.attempt, attempt.name)) &&
		       (!one.opcode || one.opcode == fault.request.opcode) &&
		       (!one.injected || one.injected == fault.error) && one.answer == error;
	});
}

/* An attempt in which no request goes wrong. */
struct Usual {
	int error;
	string before, after;
	std::vector<Request> requests;
};

/* One union, and the attempts that were made in it. */
class Trials
{
public:
	explicit Trials(const ServedAs &setting) : u_(setting)
	{
	}
	~Trials()
	{
		ktap::guarded([this] { look_again(); });
	}
	Usual usual(const Attempt &attempt);
	Happened trial(const Attempt &attempt, const Usual &usual, const Fault &fault);
	/* Enough attempts were made in this union, or one has left something that changes later ones. */
	bool is_over() const
	{
		return is_spoiled_ || ended_.size() >= 24;
	}

private:
	/* A name that no attempt has used yet. */
	string new_name()
	{
		return "n" + std::to_string(++count_);
	}
	void check_answer(const Attempt &attempt, const Usual &usual, const Fault &fault,
			  int error);
	void check_looks(const Attempt &attempt, const Usual &usual, const Fault &fault,
			 const Happened &happened, const Scene &scene);
	void look_again();

	struct Ended {
		string name, looks, text;
	};
	Served u_;
	unsigned count_ = 0;
	bool is_spoiled_ = false;
	std::vector<Ended> ended_;
};

Usual Trials::usual(const Attempt &attempt)
{
	Usual usual;
	Told told(string(attempt.name) + " on " + u_.how.text() + ", with nothing wrong");
	{
		Scene untouched(u_, new_name(), attempt);
		usual.before = looks_of(untouched.dir);
	}
	u_.renew();
	Scene scene(u_, new_name(), attempt);
	u_.server.count();
	usual.error = attempt.run(scene);
	usual.requests = u_.server.counted();
	usual.after = looks_of(scene.dir);
	if (usual.error)
		EXPECT_EQ(ktap::errno_name(usual.error), ktap::errno_name(attempt.refusal));
	if (usual.error || attempt.effect == Effect::none || attempt.effect == Effect::report)
		EXPECT_EQ(usual.after, usual.before);
	else
		EXPECT_NE(usual.after, usual.before);
	return usual;
}

void Trials::check_answer(const Attempt &attempt, const Usual &usual, const Fault &fault, int error)
{
	/* The operation worked as usual, so users have to see its effect. */
	if (error == usual.error && attempt.effect != Effect::report)
		return;
	if (!may_answer(attempt, fault, error))
		ktap::fail(__FILE__, __LINE__,
			   ktap::format("%s\n  it is %s", ktap::errno_name(fault.error).c_str(),
					ktap::errno_name(error).c_str()));
}

/* Users see the old state or the new one, and the next attempt at the same works. */
void Trials::check_looks(const Attempt &attempt, const Usual &usual, const Fault &fault,
			 const Happened &happened, const Scene &scene)
{
	auto look = [&] {
		string looks = looks_of(scene.dir);
		/* If no request failed, the number of names is noted exactly. */
		return happened.was_hit && fault.error ? as_if_noted(looks, usual.after, attempt) :
							 looks;
	};
	string now = look();
	/* The branches have the same. */
	if (happened.was_hit && attempt.effect != Effect::write_back) {
		write_control("/proc/sys/vm/drop_caches", "2");
		EXPECT_EQ(look(), now);
	}
	bool is_seen = attempt.effect != Effect::none && attempt.effect != Effect::report;
	/* A task that was killed got no answer, and a close may fail when all is done. */
	bool may_be_done = fault.is_late || attempt.effect == Effect::steps ||
			   (happened.was_hit && fault.request.opcode == FUSE_FLUSH);
	if (!fault.is_late && happened.error == 0)
		EXPECT_EQ(now, usual.after);
	else if (attempt.effect != Effect::write_back && !(may_be_done && now == usual.after))
		EXPECT_EQ(now, usual.before);
	/* To make the same again would be another errno. */
	if (is_seen && now == usual.after && attempt.effect != Effect::write_back)
		return;
	EXPECT_EQ(ktap::errno_name(attempt.run(scene)), ktap::errno_name(usual.error));
	EXPECT_EQ(looks_of(scene.dir), usual.after);
}

Happened Trials::trial(const Attempt &attempt, const Usual &usual, const Fault &fault)
{
	string name = new_name(), text = string(attempt.name) + " on " + u_.how.text() + ", " +
					 name + ": " + fault.text();
	Told told(text);
	u_.renew();
	Scene scene(u_, name, attempt);
	Happened happened =
		with_fault(u_.server, fault, [&attempt, &scene] { return attempt.run(scene); });
	if (!happened.was_hit && !fault.is_late)
		EXPECT_EQ(ktap::errno_name(happened.error), ktap::errno_name(usual.error));
	/* If the branch cannot have pseudo-links, each name becomes a file of its own. */
	bool parts_names = attempt.has_two_names &&
			   (fault.error == EIO || fault.error == EPERM ||
			    fault.error == EOPNOTSUPP || fault.error == EACCES);
	if (happened.was_hit && (fault.is_believed() || parts_names)) {
		/* The result is not defined, but a listing agrees with it. */
		looks_of(scene.dir);
		is_spoiled_ = true;
		return happened;
	}
	if (happened.was_hit && !fault.is_late)
		check_answer(attempt, usual, fault, happened.error);
	check_looks(attempt, usual, fault, happened, scene);
	/*
	 * An operation that fails removes its debris. If its task was killed, or if it does not find the debris any
	 * more, the next mount removes it.
	 */
	bool has_debris = u_.has_debris();
	if (!fault.is_late && happened.error && !fault.loses_what_moves())
		EXPECT(!has_debris);
	is_spoiled_ = is_spoiled_ || has_debris;
	/* The number of names that are left on a lower branch may be noted wrongly after a fault. */
	if (!attempt.has_two_names || !happened.was_hit)
		ended_.push_back({name, usual.after, text});
	return happened;
}

/* A new mount shows what users have seen. */
void Trials::look_again()
{
	u_.mount_again();
	for (const Ended &ended : ended_) {
		Told told(ended.text + "; and mounted again");
		EXPECT_EQ(looks_of(u_.at(ended.name)), ended.looks);
	}
	u_.expect_known_names();
}

static void try_area(Area area, bool is_late)
{
	Random random(chosen_seed());
	size_t steps = chosen_steps(6), tried = 0, hit = 0;
	std::vector<const Attempt *> attempts;
	for (const Attempt &attempt : attempts_in(area))
		attempts.push_back(&attempt);
	std::vector<ServedAs> settings = chosen(random, all_settings(), all_of_them);
	/* A few faults of each attempt, or all. */
	size_t share = std::max<size_t>(2, steps / (settings.size() * attempts.size()));
	for (const ServedAs &setting : settings) {
		std::unique_ptr<Trials> trials;
		for (const Attempt *attempt : chosen(random, attempts, all_of_them)) {
			if (tried >= steps)
				break;
			if (!trials)
				trials = std::make_unique<Trials>(setting);
			Usual usual = trials->usual(*attempt);
			for (const Fault &fault :
			     chosen(random, faults_of(usual.requests, is_late), share)) {
				hit += trials->trial(*attempt, usual, fault).was_hit;
				tried++;
				if (!trials->is_over())
					continue;
				trials.reset();
				trials = std::make_unique<Trials>(setting);
			}
		}
	}
	ktap::say(ktap::format("%zu requests went wrong, of %zu chosen", hit, tried));
	EXPECT_GT(tried, 0u);
	/* Some requests are not made again, such as readahead. */
	EXPECT_GE(4 * hit, tried);
}

PARAM_CASE(in_time, "reading", "writing", "attributes", "copying", "making", "removing", "renaming")
{
	try_area(area_of(ktap::param()), false);
}

PARAM_CASE(late, "reading", "writing", "attributes", "copying", "making", "removing", "renaming")
{
	try_area(area_of(ktap::param()), true);
}

// ---- known answers -----------------------------------------------------------------------------

struct KnownAnswer {
	Place place;
	const char *attempt;
	Request request;
	int error, answer; /* 0 if it is killed */
	bool is_late = false;
};

static const KnownAnswer known[] = {
	/* ENOENT is an answer like any other: the name is looked up again later. */
	{Place::lower, "stat", {FUSE_LOOKUP, 1, "file"}, ENOENT, ENOENT},
	/* After ESTALE the VFS tries again. */
	{Place::lower, "read", {FUSE_OPEN, 1, ""}, ESTALE, 0},
	{Place::lower, "read", {FUSE_OPEN, 1, ""}, EMFILE, EMFILE},
	{Place::lower, "readlink", {FUSE_READLINK, 1, ""}, EIO, EIO},
	{Place::lower, "listxattr", {FUSE_LISTXATTR, 1, ""}, EOPNOTSUPP, EOPNOTSUPP},
	/* A copy must not miss attributes that cannot be read. EOPNOTSUPP says that there are none. */
	{Place::lower, "copy_up_by_chmod", {FUSE_LISTXATTR, 1, ""}, EIO, EIO},
	{Place::lower, "copy_up_by_chmod", {FUSE_GETXATTR, 1, "trusted.mine"}, EIO, EIO},
	{Place::lower, "copy_up_by_chmod", {FUSE_LISTXATTR, 1, ""}, EOPNOTSUPP, 0},
	{Place::upper, "copy_up_by_chmod", {FUSE_SETXATTR, 1, "trusted.mine"}, ENOSPC, ENOSPC},
	{Place::upper, "copy_up_by_chmod", {FUSE_SETXATTR, 1, "trusted.mine"}, EOPNOTSUPP, 0},
	/* The data has to be on the disk before the name. */
	{Place::upper, "copy_up_by_chmod", {FUSE_FSYNC, 1, ""}, EIO, EIO},
	{Place::upper, "copy_up_by_chmod", {FUSE_RENAME, 1, ""}, EDQUOT, EDQUOT},
	/* The branch may have been ro for a moment: the file is opened once more. */
	{Place::upper, "copy_up_by_open", {FUSE_OPEN, 2, ""}, EROFS, 0},
	/* If a whiteout cannot be a link, it is a file of its own. */
	{Place::upper, "unlink", {FUSE_LINK, 1, ""}, EPERM, 0},
	/* The mark is looked up in its place, and then in the workfile. Then the workfile is removed. */
	{Place::upper, "mkdir_where_one_was", {FUSE_LOOKUP, 2, ".wh..wh..opq"}, EIO, EIO},
	{Place::upper, "create", {FUSE_MKNOD, 1, ""}, ENOSPC, ENOSPC},
	{Place::upper, "exchange", {FUSE_RENAME2, 1, ""}, EIO, EIO},
	{Place::upper, "write", {FUSE_WRITE, 1, ""}, EDQUOT, EDQUOT},
	{Place::upper, "fsync", {FUSE_FSYNC, 1, ""}, ENOSPC, ENOSPC},
	/* A further name replaces a file that no name of the union leads to. */
	{Place::lower_rw, "link_where_one_was", {FUSE_LINK, 1, ""}, ENOSPC, ENOSPC},
	/* A killed task takes back what it has begun, although FUSE does not answer it any more. */
	{Place::upper, "copy_up_of_one_of_two", {FUSE_RENAME, 1, ""}, ENOSPC, 0, true},
	{Place::upper, "rename_over_a_directory", {FUSE_RENAME, 3, ""}, ENOSPC, 0, true},
	{Place::lower_rw, "link_where_one_was", {FUSE_FSYNCDIR, 1, ""}, ENOSPC, 0, true},
	{Place::lower_rw, "rename_over_a_copy", {FUSE_FSYNCDIR, 1, ""}, ENOSPC, 0, true},
	/* A killed task notes what it has done. */
	{Place::upper, "unlink_of_one_of_two_below", {FUSE_MKNOD, 1, ""}, 0, 0, true},
};

PARAM_CASE(answers, "upper", "lower", "lower_rw")
{
	string p = ktap::param();
	ServedAs setting = {p == "upper" ? Place::upper :
			    p == "lower" ? Place::lower :
					   Place::lower_rw,
			    false};
	std::unique_ptr<Trials> trials;
	for (const KnownAnswer &one : known) {
		if (one.place != setting.place)
			continue;
		if (trials && trials->is_over())
			trials.reset();
		/* A new union needs the last one's directories, so it is made when that has gone. */
		if (!trials)
			trials = std::make_unique<Trials>(setting);
		const Attempt &attempt = attempt_named(one.attempt);
		Fault fault = {one.request, one.error, one.is_late};
		Told told(string(one.attempt) + " with " + fault.text());
		Usual usual = trials->usual(attempt);
		Happened happened = trials->trial(attempt, usual, fault);
		EXPECT(happened.was_hit);
		EXPECT_EQ(ktap::errno_name(happened.error), ktap::errno_name(one.answer));
	}
}

// ---- the union as a whole ----------------------------------------------------------------------

/* Faults in time and late ones. */
static std::vector<Fault> chosen_faults(const std::vector<Request> &requests)
{
	Random random(chosen_seed());
	std::vector<Fault> faults = faults_of(requests, false), late = faults_of(requests, true);
	EXPECT_GT(faults.size(), 0u);
	faults.insert(faults.end(), late.begin(), late.end());
	return chosen(random, faults, chosen_steps(8));
}

static int mount_aufs(const Union &u, unsigned long flags, const string &options)
{
	return result_of(mount("none", u.mnt.c_str(), "aufs", flags, options.c_str()));
}

/* The union is mounted, or it is not and holds none of its branches. */
PARAM_CASE(mount, "upper", "lower")
{
	Served u({ktap::param() == "upper" ? Place::upper : Place::lower, true});
	/* The mount reads the pseudo-links too. */
	write_file(u.low + "/one", "one");
	OK(link((u.low + "/one").c_str(), (u.low + "/two").c_str()));
	OK(chmod(u.at("one").c_str(), 0600));
	string looks = looks_of(u.mnt);
	u.unmount();
	auto mount_it = [&u] {
		return mount_aufs(u, 0, u.options());
	};
	u.server.count();
	ASSERT_EQ(mount_it(), 0);
	std::vector<Request> requests = u.server.counted();
	OK(umount(u.mnt.c_str()));
	for (const Fault &fault : chosen_faults(requests)) {
		Told told("a mount, " + fault.text());
		Happened happened = with_fault(u.server, fault, mount_it);
		bool is_mounted = !names_in("/sys/fs/aufs").empty();
		if (!fault.is_late)
			EXPECT_EQ(is_mounted, happened.error == 0);
		if (!fault.is_late && happened.error)
			EXPECT_EQ(ktap::errno_name(happened.error), ktap::errno_name(fault.error));
		if (!is_mounted)
			continue;
		if (!fault.is_believed())
			EXPECT_EQ(looks_of(u.mnt), looks);
		OK(umount(u.mnt.c_str()));
	}
	EXPECT_EQ(names_in("/sys/fs/aufs").size(), 0u);
	u.mount(u.options());
	EXPECT_EQ(looks_of(u.mnt), looks);
	u.expect_known_names();
}

/*
 * A remount changes the list of branches, or nothing, also for an open directory, which is looked up anew. The branch
 * that goes is not asked, so another one is served.
 */
PARAM_CASE(remount, "append", "del", "to_ro", "to_rw")
{
	Union u;
	string p = ktap::param(), served = u.tmp + "/served";
	for (const string &branch : {u.low, u.low2}) {
		make_dir(branch + "/dir");
		write_file(branch + "/dir/file", branch == u.low ? "served" : "other");
		write_file(branch + "/dir/" + (branch == u.low ? "served" : "other"), "");
	}
	Passthrough server(served, u.low, 0);
	string ro = served + "=ro", rw = served + "=rw", other = u.low2 + "=ro";
	string there = p == "append" ? "append:" + ro :
		       p == "del"    ? "del:" + u.low2 :
		       p == "to_ro"  ? "mod:" + ro :
				       "mod:" + rw;
	string back = p == "append" ? "del:" + served :
		      p == "del"    ? "add:1:" + other :
		      p == "to_ro"  ? "mod:" + rw :
				      "mod:" + ro;
	string last = p == "append" ? "" : ":" + (p == "to_ro" ? rw : ro);
	u.mount("br=" + u.top + "=rw:" + other + last);
	auto change = [&u, &there] {
		return mount_aufs(u, MS_REMOUNT, there);
	};
	string before = shown_branches(u.mnt), looks = looks_of(u.mnt);
	std::vector<Request> requests;
	{
		Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
		server.count();
		ASSERT_EQ(ktap::errno_name(change()), "0");
		requests = server.counted();
	}
	string after = shown_branches(u.mnt), looks_after = looks_of(u.mnt);
	EXPECT_NE(after, before);
	EXPECT_EQ(looks == looks_after, p == "to_ro" || p == "to_rw");
	ASSERT_EQ(ktap::errno_name(mount_aufs(u, MS_REMOUNT, back)), "0");
	for (const Fault &fault : chosen_faults(requests)) {
		Told told("a remount, " + fault.text());
		Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
		Happened happened = with_fault(server, fault, change);
		string now = shown_branches(u.mnt);
		EXPECT(now == before || now == after);
		if (!fault.is_late)
			EXPECT_EQ(now == after, happened.error == 0);
		if (!fault.is_late && happened.error)
			EXPECT_EQ(ktap::errno_name(happened.error), ktap::errno_name(fault.error));
		if (!fault.is_believed()) {
			EXPECT_EQ(looks_of(u.mnt), now == after ? looks_after : looks);
			/* The open directory is the one that its name leads to. */
			EXPECT_EQ(looks_of("/proc/self/fd/" + std::to_string(dir)),
				  looks_of(u.at("dir")));
		}
		if (now != after)
			EXPECT_EQ(ktap::errno_name(change()), "0");
		EXPECT_EQ(ktap::errno_name(mount_aufs(u, MS_REMOUNT, back)), "0");
		EXPECT_EQ(shown_branches(u.mnt), before);
		EXPECT_EQ(looks_of(u.mnt), looks);
	}
	u.unmount();
}
