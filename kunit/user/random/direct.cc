// SPDX-License-Identifier: GPL-2.0-only
//
// The branches are changed directly, at random, also by a user that owns the rw branches, beside random operations on
// the union. Results may be old, and errors are allowed. But there is no oops and no hang, no change leaves the
// branches, and the union can be unmounted. A write that the union accepted is there, unless somebody took its file
// away directly. This holds with each udba. AUFS_SEED and AUFS_STEPS (of each process) choose another run.

#include "intruder.hh"
#include "layers.hh"

#include <algorithm>
#include <map>

#include <sched.h>

namespace
{

/*
 * Works on the union. In `kept`, which nobody changes directly, it has files with known content. Their content goes to
 * @report, a line per file; the last one counts.
 */
class Worker
{
public:
	Worker(const Union &u, unsigned self, uint64_t seed, const string &report)
		: mnt_(u.mnt + "/"), kept_(u.mnt + ktap::format("/kept/%u_", self)), random_(seed),
		  report_(open_file(report, O_CREAT | O_WRONLY | O_APPEND))
	{
	}
	void run(unsigned long steps)
	{
		Known known = look();
		for (unsigned long i = 0; i < steps; i++) {
			if (i % 40 == 39)
				known = look();
			if (random_.one_in(4)) {
				keep();
				continue;
			}
			Op op = random_op(random_, known);
			/* A mapping may lose its file, and only this class uses `kept`. */
			if (op.kind == Op::map_write || op.a.rfind("kept", 0) == 0 ||
			    op.b.rfind("kept", 0) == 0)
				continue;
			(void)!op.apply(mnt_);
		}
	}

private:
	/* Directories may go while they are read. */
	Known look()
	{
		try {
			return known_in(mnt_);
		} catch (const ktap::Abort &) {
			return {{""}, {}};
		}
	}
	void tell(const string &path, const string &content)
	{
		string line = path.substr(mnt_.size()) + " " + content + "\n";
		ASSERT_EQ(write(report_, line.data(), line.size()), ssize_t(line.size()));
	}
	static bool put(const string &path, const string &content)
	{
		Fd fd(open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644));
		return fd >= 0 &&
		       write(fd, content.data(), content.size()) == ssize_t(content.size());
	}
	void keep()
	{
		string path = kept_ + std::to_string(random_.below(12));
		string other = kept_ + std::to_string(random_.below(12));
		string content = ktap::format("%u", ++count_);
		/* Until the call has ended, the content is unknown. */
		tell(path, "?");
		switch (random_.below(5)) {
		case 0:
			if (!unlink(path.c_str()))
				tell(path, "-");
			break;
		case 1: {
			auto it = known_.find(path);
			string moved = it == known_.end() ? "?" : it->second;
			if (path == other)
				break;
			tell(other, "?");
			known_.erase(other);
			if (!rename(path.c_str(), other.c_str())) {
				tell(path, "-");
				tell(other, moved);
				known_[other] = moved;
			}
			break;
		}
		default:
			if (put(path, content)) {
				tell(path, content);
				known_[path] = content;
				return;
			}
		}
		known_.erase(path);
	}

	string mnt_, kept_;
	std::map<string, string> known_;
	Random random_;
	Fd report_;
	unsigned count_ = 0;
};

/* Writes that the union accepted are there. */
void check_kept(const Union &u, const string &report)
{
	std::map<string, string> wanted;
	string text = read_file(report);
	size_t known = 0;
	for (size_t at = 0; at < text.size();) {
		size_t end = text.find('\n', at), space = text.find(' ', at);
		wanted[text.substr(at, space - at)] = text.substr(space + 1, end - space - 1);
		at = end + 1;
	}
	for (const auto &[name, content] : wanted) {
		if (content == "?")
			continue;
		known++;
		if (content == "-")
			EXPECT(!exists(u.at(name)));
		else if (!exists(u.at(name)))
			ktap::fail(__FILE__, __LINE__, name + " to be there");
		else
			EXPECT_EQ(read_file(u.at(name)), content);
	}
	ktap::say(ktap::format("%zu of %zu files are known", known, wanted.size()));
}

} // namespace

PARAM_CASE(changes, "one rw branch", "two rw branches", "of the user", "two rw branches/reval",
	   "two rw branches/notify", "of the user/reval", "of the user/notify")
{
	constexpr unsigned workers = 2, intruders = 2;
	Union u;
	uint64_t seed = chosen_seed();
	unsigned long steps = chosen_steps(1500);
	string udba;
	if (size_t cut = ktap::param().find('/'); cut != string::npos) {
		udba = ",udba=" + ktap::param().substr(cut + 1);
		/* Each name costs more. */
		steps /= 4;
	}
	bool two = ktap::param().starts_with("two rw branches");
	bool user = ktap::param().starts_with("of the user");
	Random random(seed);
	std::vector<string> roots;
	string outside = u.top + "/outside", report = u.tmp + "/report";
	make_dir(outside);
	make_dir(outside + "/mounted");
	make_dir(outside + "/safe");
	write_file(outside + "/safe/file", "safe");
	if (user)
		OK(chown(outside.c_str(), alice.uid, alice.gid));
	string safe = snapshot(outside + "/safe");
	/* Branches that are not roots, so objects can be moved out of them and back. */
	for (const string &dir : {u.top, u.low, u.low2}) {
		roots.push_back(dir + "/branch");
		make_dir(roots.back());
	}
	Layers(roots).fill(random, true);
	for (const string &root : roots)
		make_dir(root + "/kept");
	for (unsigned worker = 0; worker < workers; worker++)
		for (unsigned i = 0; i < 12; i += 3)
			write_file(roots[1] + ktap::format("/kept/%u_%u", worker, i), "low");
	if (user)
		OK(run({"chown", "-R", "1000:1000", roots[0]}).status);
	u.mount("br=" + roots[0] + "=rw:" + roots[2] + (two ? "=rw:" : "=ro:") + roots[1] + "=ro" +
		(two ? ",create=rr" : "") + udba);
	std::vector<pid_t> pids;
	for (unsigned i = 0; i < workers; i++)
		pids.push_back(spawn([&, i] {
			Worker(u, i, seed * 10 + i, report + std::to_string(i)).run(steps);
		}));
	for (unsigned i = 0; i < intruders; i++)
		pids.push_back(spawn([&, i] {
			/* Mounts over directories go with their namespace. */
			if (!user) {
				OK(unshare(CLONE_NEWNS));
				OK(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
			} else {
				become(alice);
			}
			Intruder(roots, outside, seed * 10 + 5 + i).run(2 * steps);
		}));
	for (pid_t pid : pids)
		EXPECT_EQ(wait_for(pid), 0);
	u.unmount();
	/* An opaque root would hide all branches below at the next mount. */
	for (const string &root : roots)
		if (exists(root + "/.wh..wh..opq"))
			remove_tree(root + "/.wh..wh..opq");
	EXPECT_EQ(snapshot(outside + "/safe"), safe);
	u.mount("br=" + roots[0] + "=rw:" + roots[2] + (two ? "=rw:" : "=ro:") + roots[1] + "=ro");
	for (unsigned i = 0; i < workers; i++)
		check_kept(u, report + std::to_string(i));
	(void)entries_in(u.mnt);
	u.unmount();
}
