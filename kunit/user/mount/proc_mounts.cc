// SPDX-License-Identifier: GPL-2.0-only
//
// The options of a union in /proc/mounts, and remounts with them, as each mount(8) makes them.

#include "other_mount.hh"

#include <mntent.h>

using Names = std::vector<string>;

/* The options of @point for a mount(8) that decodes \040 and the like. */
static string mntent_options(const string &point)
{
	string options;
	FILE *table = setmntent("/proc/self/mounts", "re");
	ASSERT(table);
	while (mntent *entry = getmntent(table))
		if (point == entry->mnt_dir)
			options = entry->mnt_opts;
	endmntent(table);
	return options;
}

/* As a mount(8) remounts that knows fsconfig(2): option by option. */
static void reconfigure(const string &point, const char *how)
{
	Fd context(OK(fspick(AT_FDCWD, point.c_str(), FSPICK_CLOEXEC)));
	for (const string &word : without_flags(shown_options(point))) {
		size_t equals = word.find('=');
		if (equals == string::npos)
			OK(fsconfig(context, FSCONFIG_SET_FLAG, word.c_str(), nullptr, 0));
		else
			OK(fsconfig(context, FSCONFIG_SET_STRING, word.substr(0, equals).c_str(),
				    word.substr(equals + 1).c_str(), 0));
	}
	OK(fsconfig(context, FSCONFIG_SET_FLAG, how, nullptr, 0));
	OK(fsconfig(context, FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0));
}

/* Remounts @point by @way, with @how and all options that /proc/mounts has. */
static void remount(const string &way, const string &point, const string &how)
{
	if (way == "fsconfig")
		return reconfigure(point, how.c_str());
	if (way == "mount2") {
		string data = joined(without_flags(shown_options(point)));
		OK(mount("none", point.c_str(), "aufs", MS_REMOUNT | (how == "ro" ? MS_RDONLY : 0),
			 data.c_str()));
		return;
	}
	Names command = mount_command(way);
	if (way == "busybox")
		command = {"/run/busybox", "mount"};
	for (const string &word : {string("-o"), "remount," + how, point})
		command.push_back(word);
	Output out = run(command);
	EXPECT_EQ(out.text, "");
	EXPECT_EQ(out.status, 0);
}

/* The branches' names are longer than a page. One name is nearly as long as fsconfig(2) takes it. */
PARAM_CASE(remount_of_500_branches, "mount2", "fsconfig", "util-linux", "util-linux-2.36",
	   "util-linux-2.41", "busybox")
{
	need_mount(ktap::param());
	Union u;
	string wanted;
	Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
	for (unsigned i = 0; i < 500; i++) {
		string path = ktap::format("%s/%03u-", u.tmp.c_str(), i);
		path.append(200 - path.size(), 'n');
		make_dir(path);
		write_file(path + "/file", path);
		string item = path + (i ? "=ro" : "=rw");
		OK(fsconfig(context, FSCONFIG_SET_STRING, "append", item.c_str(), 0));
		wanted += (i ? ":" : "") + item;
	}
	OK(fsconfig(context, FSCONFIG_SET_STRING, "create", "rr", 0));
	OK(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
	Fd tree(OK(fsmount(context, FSMOUNT_CLOEXEC, 0)));
	OK(move_mount(tree, "", AT_FDCWD, u.mnt.c_str(), MOVE_MOUNT_F_EMPTY_PATH));
	Mounted mounted = Mounted::adopt(u.mnt);
	tree.reset();
	context.reset();
	string shown = joined(without_flags(shown_options(u.mnt)));
	for (int i = 0; i < 2; i++) {
		remount(ktap::param(), u.mnt, "ro");
		EXPECT_ERR(mkdir(u.at("dir").c_str(), 0755), EROFS);
		remount(ktap::param(), u.mnt, "rw");
		EXPECT_OK(mkdir(u.at("dir").c_str(), 0755));
		EXPECT_OK(rmdir(u.at("dir").c_str()));
	}
	EXPECT_EQ(joined(without_flags(shown_options(u.mnt))), shown);
	EXPECT_EQ(shown_branches(u.mnt), wanted);
}

/* With brs=0 the option br is in /proc/mounts. A mount with that makes the same union. */
PARAM_CASE(branches_in_proc_mounts, "plain", "comma", "colon", "equals", "backslash", "space",
	   "newline", "octal_look_alike", "all")
{
	string p = ktap::param();
	string name = p == "comma"	      ? "a,b" :
		      p == "colon"	      ? "a:b" :
		      p == "equals"	      ? "a=ro" :
		      p == "backslash"	      ? "a\\b" :
		      p == "space"	      ? "a b\tc" :
		      p == "newline"	      ? "a\nb" :
		      p == "octal_look_alike" ? "a\\054b" :
		      p == "all"	      ? "a,b:c=rw\\d e\\,f\\\\g#h" :
						"plain";
	Reloaded module("brs=0");
	EXPECT_EQ(read_file("/sys/module/aufs/parameters/brs"), "0\n");
	Union u;
	make_dir(u.low + "/" + name);
	make_dir(u.top + "/" + name);
	write_file(u.low + "/" + name + "/file", name);
	u.mount("br=" + u.top + "/" + as_option(name) + "=rw:" + u.low + "/" + as_option(name) +
		"=ro,sum");
	EXPECT_EQ(read_file(u.at("file")), name);
	EXPECT_EQ(shown_branches(u.mnt).find(u.top), 0U);
	/* Leaves out the id, which is new for each mount. */
	auto shown = [](const string &options) {
		Names words = without_flags(options);
		EXPECT_EQ(words.at(0).substr(0, 3), "si=");
		EXPECT_EQ(words.at(1).substr(0, 4), "br:/");
		return joined(Names(words.begin() + 1, words.end()));
	};
	string raw = shown(shown_options(u.mnt)), decoded = shown(mntent_options(u.mnt));
	ktap::say("/proc/mounts: " + raw);
	EXPECT_HAS_NOT(raw, " ");
	if (p == "plain")
		EXPECT_EQ(raw, "br:" + u.top + "/plain=rw:" + u.low + "/plain=ro,sum");
	for (const char *way : {"mount2", "fsconfig", "util-linux", "busybox"})
		for (const char *how : {"ro", "rw"})
			if (p == "plain")
				remount(way, u.mnt, how);
	u.unmount();
	for (const string &again : {raw, decoded}) {
		u.mount(again);
		EXPECT_EQ(read_file(u.at("file")), name);
		EXPECT_EQ(shown(shown_options(u.mnt)), raw);
		write_file(u.at("written"), name);
		EXPECT_EQ(read_file(u.top + "/" + name + "/written"), name);
		EXPECT_OK(unlink(u.at("written").c_str()));
		u.unmount();
	}
}

/* The commands that people type to see what is mounted. */
CASE(findmnt_and_df)
{
	Union u;
	u.mount();
	Output out = run({"/bin/findmnt", "-n", "-o", "FSTYPE,OPTIONS", u.mnt});
	EXPECT_EQ(out.status, 0);
	EXPECT_EQ(out.text, "aufs   " + shown_options(u.mnt) + "\n");
	out = run({"/bin/df", "--output=target", u.mnt});
	EXPECT_EQ(out.status, 0);
	EXPECT_HAS(out.text, "\n" + u.mnt + "\n");
}
