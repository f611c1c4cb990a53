/* SPDX-License-Identifier: GPL-2.0-only */
//
// The mount(8) of other releases of Debian, which scripts/machine/rootfs puts below /opt with its libraries.
#pragma once

#include "fixture.hh"

/* The directory with the mount(8) that @way names, as "util-linux-2.36"; empty for the guest's own. */
inline string other_root(const string &way)
{
	return way == "util-linux-2.36" ? "/opt/bullseye" :
	       way == "util-linux-2.41" ? "/opt/trixie" :
					  "";
}

/* The words with which a command begins that calls the mount(8) of @way, or the guest's own. */
inline std::vector<string> mount_command(const string &way)
{
	string root = other_root(way);
	if (root.empty())
		return {"/bin/mount"};
	string merged = root + "/usr", lib = "/lib/x86_64-linux-gnu";
	string bin = exists(root + "/bin/mount") ? root : merged;
	return {bin + "/lib64/ld-linux-x86-64.so.2", "--library-path",
		root + lib + ":" + merged + lib, bin + "/bin/mount"};
}

/* Skips the case if this guest does not have the mount(8) that @way names. */
inline void need_mount(const string &way)
{
	string root = other_root(way);
	if (root.empty())
		return;
	std::vector<string> version = mount_command(way);
	/* A guest of another machine has none of them, and mirrors may drop Debian 11. */
	if (!exists(version[0]))
		SKIP("scripts/machine/rootfs could not get the mount(8) of %s for this guest",
		     way.c_str());
	version.push_back("--version");
	EXPECT_HAS(run(version).text, "util-linux 2." + way.substr(way.size() - 2));
}
