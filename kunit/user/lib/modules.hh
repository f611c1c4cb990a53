/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests in which branches come and go. */
#pragma once

#include "disk.hh"

#include <algorithm>
#include <climits>
#include <ctime>

using Names = std::vector<string>;

/* By a clock that only goes forward. */
inline double seconds_now()
{
	timespec time;
	OK(clock_gettime(CLOCK_MONOTONIC, &time));
	return double(time.tv_sec) + double(time.tv_nsec) / 1e9;
}

inline int remount(const Union &u, const string &options)
{
	return mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, options.c_str()) ? errno : 0;
}

/*
 * The same by fspick(2), option by option: mount(8) cuts each at its first `=`. Stores the messages of the context in
 * @said.
 */
inline int remount_by_fspick(const Union &u, const string &options, string &said)
{
	Fd context(OK(fspick(AT_FDCWD, u.mnt.c_str(), FSPICK_CLOEXEC)));
	int result = 0;
	for (size_t from = 0; !result && from < options.size();) {
		size_t to = std::min(options.find(',', from), options.size());
		string word = options.substr(from, to - from);
		size_t cut = word.find('=');
		from = to + 1;
		result = cut == string::npos ?
				 fsconfig(context, FSCONFIG_SET_FLAG, word.c_str(), nullptr, 0) :
				 fsconfig(context, FSCONFIG_SET_STRING, word.substr(0, cut).c_str(),
					  word.substr(cut + 1).c_str(), 0);
	}
	if (!result)
		result = fsconfig(context, FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0);
	int error = result ? errno : 0;
	said = context_log(context);
	return error;
}

inline string readlink_of(const string &path)
{
	char text[PATH_MAX];
	ssize_t size = readlink(path.c_str(), text, sizeof(text));
	return size < 0 ? "" : string(text, size);
}

/* A union of one rw branch, and beside it modules on filesystems of their own. One is on a disk. */
struct Modules : Union {
	Modules() : disk(tmp + "/disk", 16 << 20)
	{
		make_ext4(disk.name);
		filesystems.push_back(mount_ext4(disk.name, module("a")));
		for (const char *name : {"b", "c"}) {
			make_dir(module(name));
			filesystems.emplace_back("module", module(name), "tmpfs", 0, "");
		}
		for (const char *name : {"a", "b", "c"}) {
			make_dir(module(name) + "/dir");
			write_file(module(name) + "/dir/" + name, name);
			write_file(module(name) + "/common", name);
		}
		mount("br=" + top + "=rw");
	}
	string module(const string &name) const
	{
		return tmp + "/" + name;
	}
	/* Whether nobody has the disk. Its visible mount goes for that, and comes back. */
	bool is_free()
	{
		filesystems[0].unmount();
		Fd device(open(disk.name.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
		bool is = device >= 0;
		device.reset();
		filesystems[0] = Mounted(disk.name, module("a"), "ext4", 0, "");
		return is;
	}
	/* The same after a detach: waits for the last user. */
	bool becomes_free()
	{
		bool is = false;
		for (int i = 0; i < 100 && !is; i++)
			is = is_free();
		return is;
	}
	/* The branches that sysfs shows, without their directories. */
	string list() const
	{
		string text = shown_branches(mnt), short_text;
		for (size_t from = 0; from < text.size();) {
			size_t to = std::min(text.find(':', from), text.size());
			string line = text.substr(from, to - from);
			if (line.starts_with(top + "="))
				short_text += "top" + line.substr(top.size()) + " ";
			else
				short_text += line.substr(line.rfind('/') + 1) + " ";
			from = to + 1;
		}
		return short_text;
	}

	Disk disk;
	std::vector<Mounted> filesystems;
};
