// SPDX-License-Identifier: GPL-2.0-only

#include "caller.hh"

#include <sys/xattr.h>

/* Errnos if somebody else has changed the branches: aufs(5), BRANCHES CHANGED DIRECTLY and REMOUNT. */
static constexpr Errnos beside_others = {ESTALE, EIO, EREMOTE, EROFS, ENOENT, ENOTDIR, EXDEV};

unsigned do_calls(const Input &input, const string &root, bool beside)
{
	Caller caller(root);
	unsigned worked = 0;
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < input.calls.size(); i++) {
		const Call &call = input.calls[i];
		const Kind &kind = chosen(kinds(), call.kind);
		if (kind.run(caller, call) >= 0) {
			worked++;
			continue;
		}
		int error = errno;
		if (!kind.may.has(error) && !(beside && beside_others.has(error)))
			ktap::fail(
				__FILE__, __LINE__,
				ktap::format("an errno that %s may end with\n  call %zu: %s, of %s",
					     kind.name, i + 1, ktap::errno_name(error).c_str(),
					     input.text().c_str()));
	}
	return worked;
}

Call random_call(Random &random)
{
	auto number = [&] {
		return static_cast<uint8_t>(random.below(256));
	};
	Call call = {uint8_t(random.below(kinds().size())), number(), number(), number()};
	/* Most other calls need an open file. */
	if (random.one_in(4))
		call.kind = 0;
	return call;
}

string Input::text() const
{
	string text = std::to_string(config) + ":";
	for (const Call &call : calls)
		text += ktap::format("%s %s %u %u %u", &call == calls.data() ? "" : ";",
				     chosen(kinds(), call.kind).name, call.x, call.y, call.z);
	return text;
}

Input Input::parse(const string &text)
{
	Input input;
	int read = 0;
	ASSERT_EQ(sscanf(text.c_str(), "%hhu:%n", &input.config, &read), 1);
	for (size_t at = read; at < text.size();) {
		char name[32];
		Call call = {};
		ASSERT_EQ(sscanf(text.c_str() + at, " %31s %hhu %hhu %hhu%n", name, &call.x,
				 &call.y, &call.z, &read),
			  4);
		while (call.kind < kinds().size() && strcmp(kinds()[call.kind].name, name))
			call.kind++;
		ASSERT_GT(kinds().size(), call.kind);
		input.calls.push_back(call);
		at += read + 1;
	}
	return input;
}

void CallBranches::fill() const
{
	for (const string &dir :
	     {rw, rw2, ro, module, ro + "/dir0", ro + "/dir0/dir1", ro + "/dir1", ro + "/dir2",
	      rw + "/dir0", rw + "/dir2", rw2 + "/dir3", module + "/dir0"})
		make_dir(dir, dir == rw + "/dir0" ? 0777 : 0755);
	for (const string &path :
	     {ro + "/a", ro + "/b", ro + "/dir0/a", ro + "/dir0/b", ro + "/dir0/dir1/a",
	      ro + "/dir1/a", ro + "/dir2/a", rw + "/g", rw + "/dir0/c", rw2 + "/h",
	      rw2 + "/dir3/a", module + "/i", module + "/a", module + "/dir0/d"})
		write_file(path, pattern(path.back() == 'b' ? 0 : 10000));
	/* Further names, hidden names, and objects of other kinds. */
	OK(link((ro + "/a").c_str(), (ro + "/c").c_str()));
	OK(link((ro + "/a").c_str(), (ro + "/dir0/d").c_str()));
	OK(symlink("dir0", (ro + "/link").c_str()));
	OK(symlink("a", (ro + "/d").c_str()));
	OK(mkfifo((ro + "/e").c_str(), 0666));
	write_file(ro + "/f", pattern(3000), 06777);
	OK(setxattr((ro + "/f").c_str(), "trusted.t0", "lower", 5, 0));
	OK(truncate((ro + "/f").c_str(), 200000));
	write_file(rw + "/.wh.b", "", 0444);
	write_file(rw + "/dir2/.wh..wh..opq", "", 0444);
	OK(lchown((ro + "/dir0/b").c_str(), alice.uid, alice.gid));
}

string CallBranches::options(uint8_t config) const
{
	const string a = "br=" + rw + "=rw:", b = rw2 + "=rw:", c = ro + "=ro", d = module + "=ro";
	const string all[] = {
		a + c,
		a + c + ":" + d + ",udba=reval",
		a + b + c + ",create=rr,cpup=bu",
		a + d + ":" + b + c + ",create=mfs",
		a + c + "+coo_all:" + d + "+coo_reg,udba=notify",
		a + b + c + ",diropq=a,create=pmfsrr:1000,sum",
		"br=" + c + ":" + d,
		a + b + c + ":" + module + "=rr,create=tdmfs:4096,cpup=bup,wsum",
	};
	return chosen(all, config);
}

unsigned long CallBranches::flags(uint8_t config) const
{
	return options(config).find("=rw") == string::npos ? MS_RDONLY : 0;
}
