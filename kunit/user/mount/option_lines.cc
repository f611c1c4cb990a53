// SPDX-License-Identifier: GPL-2.0-only
//
// Option lines of real users of the original. mount(2), fsconfig(2) with options as mount(8) cuts them, and /bin/mount
// have to answer the same. The lines of docker and of live systems are given by the mount(8) of other releases of
// Debian, too.

#include "other_mount.hh"

#include <algorithm>

/*
 * R and S are rw branches; A, B and C are lower ones. A remount's errno is behind the remount; 0 is success. @says is a
 * part of the line in the kernel's log; if it is empty, there is no line.
 */
struct Line {
	const char *name;
	const char *mount;
	int error = 0;
	const char *says = "";
	const char *remount = nullptr;
	int remount_error = 0;
	const char *remount_says = "";
};

/* Of docker and of live systems. */
static const Line of_systems[] = {
	/* docker's graph driver: the first mount, with as many layers as fit, and the next ones. */
	{"docker", "br:R=rw:A=ro+wh:B=ro+wh,dio,xino=/dev/shm/aufs.xino,dirperm1", 0,
	 "without effect: xino (inode numbers need no table), dio, dirperm1 (it is always so)",
	 "append:C=ro+wh,", 0, ""},
	{"docker_probe", "br:R,dirperm1,xino=/dev/shm/aufs.xino", 0, "xino"},
	{"docker_layers", "br:R=rw:A=ro+wh:B=ro+wh"},
	{"list_ends_in_a_colon", "br:R=rw:A=ro+wh:"},
	{"list_ends_in_two_colons", "br=R=rw:A=ro+wh::"},
	/* Slax */
	{"linux_live_kit", "xino=/dev/shm/.xino,br=R", 0, "xino", "add:1:A", 0, ""},
	{"slax", "xino=/.xino,trunc_xino,br=R", 0, "xino, trunc_xino", "add:1:A=rr+wh", 0, ""},
	{"slax_removes", "xino=/.xino,trunc_xino,br=R:A", 0, "xino", "verbose,del:A", 0, "verbose"},
	{"slax_without_xino", "br=R", 0, "", "add:1:A", 0, ""},
	{"slax_ends", "br=R:A", 0, "", "ro"},
	/* Puppy */
	{"puppy", "udba=reval,diropq=w,br:R=rw:A=ro+wh"},
	{"puppy_xino", "udba=reval,diropq=w,br=R=rw,xino=/xino", 0, "xino", "add:1:A=rr", 0, ""},
	{"puppy_adds", "br:R=rw", 0, "", "add:1:A=rr", 0, ""},
	{"puppy_appends", "br=R=rw", 0, "", "append=A=rr", 0, ""},
	{"puppy_exchanges", "br:R=rw:A=ro", 0, "", "prepend:B=rw,mod:R=ro,del:R", 0, ""},
	{"puppy_revalidates", "br=R=rw:A=ro", 0, "", "udba=reval"},
	{"puppy_notifies", "br=R=rw:A=ro", 0, "", "udba=notify"},
	{"puppy_ends", "br=R=rw:A=ro", 0, "", "noxino,noplink,ro", 0, "noxino"},
	/* Porteus */
	{"porteus", "br=R,nowarn_perm", 0, "nowarn_perm", "add:1:A=rr"},
	/* live-boot, casper and others that began with them */
	{"casper", "noatime,noxino,dirs=R=rw:A=rr+wh", 0, "noxino"},
	{"casper_dirs", "noatime,dirs=R=rw:A=rr+wh"},
	{"live_branches", "br=R:A"},
};

static const Line lines[] = {
	{"diskless", "nowarn_perm,rdcache=10,udba=none,br:R:A", 0,
	 "rdcache (directories are read without such limits), nowarn_perm (there is no such "
	 "warning)"},
	{"root_below", "br:R=rw:/=ro"},
	{"relative", "dirs=./A:./B"},
	/* Pools of disks */
	{"pool_sum", "br=R=rw:A,create=mfs,sum"},
	{"pool_sum_first", "sum,create=mfs,br=R=rw:S=rw"},
	{"pool_pmfs", "br=R=rw:S=rw,create=pmfs,sum"},
	{"pool_watermark", "br=R=rw:S=rw,create=pmfsrr:1048576:10,wsum"},
	{"long_policy_names", "br=R=rw:S=rw,create=most-free-space,cpup=bottom-up-parent"},
	{"round_robin", "br=R=rw:S=rw,create=round-robin,copyup=bottom-up"},
	{"top_down_parent", "create_policy=top-down-parent,copyup_policy=top-down-parent,br:R:A"},
	/* Questions of users, and their mistakes */
	{"udba_none", "udba=none,dirs=R=rw:A=ro"},
	{"udba_notify", "br=R=rw:A=ro,udba=notify"},
	{"udba_fsnotify", "udba:fsnotify,br=R=rw:A=ro"},
	{"udba_wrong", "udba=always,br=R", EINVAL,
	 "unknown value 'always' in 'udba' (known are none, reval, notify, fsnotify)"},
	{"acl", "br=R=rw:A=ro,acl", 0, "acl (it is always so)"},
	{"plink", "br=R=rw:A=ro,plink", 0, "plink"},
	{"warn_perm", "br=R=rw:A=ro,warn_perm", 0, "warn_perm"},
	{"verbose", "verbose,br=R=rw:A=ro", 0, "verbose"},
	{"permission_typo", "br=R=rw:A=r", 0, "permission 'r' (ro in its place", "br=R=rw:A=ro"},
	{"permission_typo_later", "br=R=rw:S=rw:A", 0, "", "mod:S=wr", 0, "permission 'wr' (ro in"},
	{"permission_that_is_a_path", "br=R=rw:A=B/", EINVAL, "unknown permission 'B/'"},
	{"option_typo", "br=R=rw:A=ro,xyno=/x", EINVAL,
	 "unknown option 'xyno' (the nearest known is 'xino')"},
	{"noplink", "br=R=rw:A=ro,noplink", EINVAL, "hard links stay one file"},
	{"noplink_while_rw", "br=R=rw:A=ro", 0, "", "noplink", EINVAL, "unless read-only"},
	{"opposites_at_the_end", "br=R=rw:A=ro", 0, "", "nodio,noacl,noplink,nodirperm1,ro"},
	{"fhsm", "br=R=rw:A=ro,fhsm_sec=10", EINVAL, "tiered storage"},
	{"dirren", "br=R=rw:A=ro,dirren", EINVAL, "EXDEV"},
	{"whiteouts_shown", "ro,shwh,br=A=ro+wh:B=ro+wh"},
	{"whiteouts_shown_without_rw", "shwh,br=A=ro+wh:B=ro+wh"},
	{"whiteouts_shown_late", "shwh,br=A=ro+wh:B=ro+wh,ro"},
	{"whiteouts_shown_rw", "shwh,br=R:A", EINVAL, "unless read-only: option 'shwh'"},
	{"always_opaque", "diropq=always,br=R:A"},
	{"many",
	 "rdblk=def,rdhash:32,dirwh=3,trunc_xino_v=1:2,itrunc_xino=0,trunc_xib,notrunc_xib,"
	 "trunc_xino_path=A,notrunc_xino,clean_plink,list_plink,noverbose,q,nodlgt,nodirren,"
	 "imap=x,delete=all,debug=1,br=R:A",
	 0,
	 "trunc_xino_v, trunc_xino_path, notrunc_xino, itrunc_xino, trunc_xib, notrunc_xib (inode "
	 "numbers need no table), rdblk, rdhash, dirwh (directories are read without such "
	 "limits), clean_plink, list_plink (pseudo-links need no care), noverbose, quiet "
	 "(messages are the same for all), debug, delete, imap (it means nothing any more)"},
	/* What mount.aufs(8) of the original makes other options of */
	{"droplvl", "br=R=rw:A=ro,droplvl=3", 0, "droplvl (features stay, and udba and noatime",
	 "droplvl=-1", 0, "droplvl (features stay"},
	{"droplvl_wrong", "br=R=rw:A=ro,droplvl=4", EINVAL,
	 "unknown value '4' in 'droplvl' (known are 1, 2, 3, -1, -2, -3)"},
	{"ephemeral", "ephemeral,br=R=rw:A=ro", 0, "ephemeral (features stay"},
	/* Attributes */
	{"moo", "br=R=rw+moo:A=ro", 0, "'moo'"},
	{"fhsm_branches", "br=R=rw+fhsm:S=rw+fhsm", 0, "'fhsm' (there is no tiered storage)"},
	{"unpin", "br=R=rw+unpin:A=ro", 0, "'unpin' (branches are always pinned)"},
	{"icex", "br=R=rw+icexsec+icextr:A=ro"},
	{"coo", "br=R=rw:A=rr+coo_reg+wh"},
	{"coo_rw", "br=R=rw:S=rw+coo_all:A", 0, "'coo_all' (what a rw branch has is not copied up)",
	 "br=R=rw:S=rw+coo_all:A", 0, ""},
	{"nolwh", "br=R=rw+nolwh:A=ro"},
	{"unknown_attribute", "br=R=rw:A=ro+nothing", 0, "'nothing' (not known there)"},
	/* Options that mount(8) gives back */
	{"si_comes_back", "si=8a3b00c4d5e6f708,br=R=rw:A=ro", 0, "", "si=8a3b00c4d5e6f708,ro"},
	{"branches_come_back", "br=R=rw:A=ro", 0, "", "ro,br=R=rw:A=ro"},
	{"branches_do_not_change", "br=R=rw:A=ro", 0, "", "br=R=rw:A=ro:B=ro", EINVAL,
	 "is not mounted in this place"},
};

/* @options with the paths of @u in place of the capital letters of branches. */
static string with_paths(const char *options, const Union &u)
{
	string text;
	for (const char *at = options; *at; at++) {
		bool alone = at == options || strchr(":=,", at[-1]);
		bool ends = !at[1] || strchr(":=,", at[1]);
		if (strchr("RSABC", *at) && alone && ends)
			text += u.tmp + "/" + *at;
		else
			text += *at;
	}
	return text;
}

static std::vector<string> words_of(const string &options)
{
	std::vector<string> words;
	for (size_t at = 0, end; at < options.size(); at = end + 1) {
		end = std::min(options.find(',', at), options.size());
		if (end > at)
			words.push_back(options.substr(at, end - at));
	}
	return words;
}

/* mount(2) has flags for some options. */
static int by_mount(const string &options, const string &at, unsigned long flags)
{
	string data;
	for (const string &word : words_of(options)) {
		if (word == "ro")
			flags |= MS_RDONLY;
		else if (word == "noatime")
			flags |= MS_NOATIME;
		else
			data += (data.empty() ? "" : ",") + word;
	}
	return mount("none", at.c_str(), "aufs", flags, data.c_str()) ? errno : 0;
}

/* fsconfig(2) with each option cut at the first "=", as mount(8) does it. */
static int by_fsconfig(const string &options, const string &at, unsigned long flags)
{
	bool remount = flags & MS_REMOUNT;
	Fd context(OK(remount ? fspick(AT_FDCWD, at.c_str(), FSPICK_CLOEXEC) :
				fsopen("aufs", FSOPEN_CLOEXEC)));
	for (const string &word : words_of(options)) {
		size_t equals = word.find('=');
		string name = word.substr(0, equals);
		int result =
			word == "noatime" ?
				0 :
			equals == string::npos ?
				fsconfig(context, FSCONFIG_SET_FLAG, name.c_str(), nullptr, 0) :
				fsconfig(context, FSCONFIG_SET_STRING, name.c_str(),
					 word.substr(equals + 1).c_str(), 0);
		if (result)
			return errno;
	}
	if (fsconfig(context, remount ? FSCONFIG_CMD_RECONFIGURE : FSCONFIG_CMD_CREATE, nullptr,
		     nullptr, 0))
		return errno;
	if (remount)
		return 0;
	Fd tree(OK(fsmount(context, FSMOUNT_CLOEXEC, 0)));
	OK(move_mount(tree, "", AT_FDCWD, at.c_str(), MOVE_MOUNT_F_EMPTY_PATH));
	return 0;
}

/* mount(8) exits with 32 for each error. */
static int by_command(const string &way, const string &options, const string &at,
		      unsigned long flags)
{
	std::vector<string> command = mount_command(way);
	command.insert(command.end(),
		       {"-i", "-t", "aufs", "-o", (flags & MS_REMOUNT ? "remount," : "") + options,
			"none", at});
	return run(command).status;
}

/* @way is the parameter of the case: a system call, or whose mount(8). */
static int give(const string &way, const string &options, const string &at, unsigned long flags = 0)
{
	return way == "mount2"	 ? by_mount(options, at, flags) :
	       way == "fsconfig" ? by_fsconfig(options, at, flags) :
				   by_command(way, options, at, flags);
}

/* The module's lines in the log have @says, or there are none. */
static void expect_said(KernelLog &log, const char *says)
{
	string text = log.read();
	if (text.find("aufs: ") == string::npos)
		text.clear();
	if (*says)
		EXPECT_HAS(text, says);
	else
		EXPECT_EQ(text, "");
}

static void expect_line(const Line &line, const string &way)
{
	ktap::say(line.name);
	Union u;
	for (const char *name : {"/R", "/S", "/A", "/B", "/C"}) {
		make_dir(u.tmp + name);
		write_file(u.tmp + name + "/of" + (name + 1), name);
	}
	OK(chdir(u.tmp.c_str()));
	KernelLog log;
	auto expected = [&way](int error) {
		return error && way != "mount2" && way != "fsconfig" ? 32 : error;
	};
	int got = give(way, with_paths(line.mount, u), u.mnt);
	EXPECT_EQ(got, expected(line.error));
	expect_said(log, line.says);
	if (got)
		return;
	Mounted mounted = Mounted::adopt(u.mnt);
	EXPECT_NE(names_in(u.mnt).size(), 0u);
	if (!line.remount)
		return;
	EXPECT_EQ(give(way, with_paths(line.remount, u), u.mnt, MS_REMOUNT),
		  expected(line.remount_error));
	expect_said(log, line.remount_says);
	/* The union is as it was. It is read-only if that was asked for. */
	std::vector<string> words = words_of(line.remount);
	bool read_only = !line.remount_error &&
			 std::find(words.begin(), words.end(), "ro") != words.end();
	int made = mkdir(u.at("dir").c_str(), 0755);
	EXPECT_EQ(made ? ktap::errno_name(errno) : "0", read_only ? "EROFS" : "0");
}

PARAM_CASE(lines_of_users, "mount2", "fsconfig", "util-linux")
{
	/* The kernel's log takes a hundred lines of ours in five seconds, then drops them. */
	if (ktap::param() != "mount2")
		sleep(6);
	for (const Line &line : of_systems)
		expect_line(line, ktap::param());
	for (const Line &line : lines)
		expect_line(line, ktap::param());
}

/* By a mount(8) that calls fsconfig(2), and by an old one: what systems do by more than one command. */
PARAM_CASE(lines_of_systems, "util-linux-2.36", "util-linux-2.41")
{
	need_mount(ktap::param());
	for (const Line &line : of_systems)
		if (line.remount)
			expect_line(line, ktap::param());
}
