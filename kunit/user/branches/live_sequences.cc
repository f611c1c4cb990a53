// SPDX-License-Identifier: GPL-2.0-only
//
// The commands of the scripts of Slax, Puppy and docker, in their order and as they write them: with modules that are
// squashfs images on loop devices, by mount(8), umount(8) and losetup(8). Unions are mounted by the mount(8) of other
// releases of Debian as well.
//
// Combinations: tmpfs ext4+xfs

#include "modules.hh"
#include "other_mount.hh"

/* Runs @command: it has to end with 0 and to print nothing. */
static void must(const std::vector<string> &command)
{
	Output output = run(command);
	EXPECT_EQ(output.text, "");
	EXPECT_EQ(output.status, 0);
}

/* By the mount(8) that the case's parameter asks for, if it has one. */
static void mount_aufs(const string &options, const string &at)
{
	ktap::say("mount -t aufs -o " + options);
	std::vector<string> command = mount_command(ktap::param());
	command.insert(command.end(), {"-t", "aufs", "-o", options, "aufs", at});
	Output output = run(command);
	EXPECT_EQ(output.status, 0);
	/* Some of 2.41 show what the kernel notes; a warning would come first. */
	if (output.text.starts_with("mount info"))
		EXPECT_HAS(output.text, "aufs: options without effect: ");
	else
		EXPECT_EQ(output.text, "");
}

/* A squashfs of @files, each with its name as content, mounted by a loop device of its own, as users do it. */
struct Bundle {
	Bundle(const string &tmp, const string &name, const Names &files)
		: image(tmp + "/" + name + ".sb"), at(tmp + "/bundles/" + name)
	{
		if (!exists("/usr/bin/mksquashfs"))
			SKIP("mksquashfs is not installed in this guest");
		string dir = tmp + "/" + name + ".dir";
		make_dir(dir);
		for (const string &file : files) {
			make_dirs(dir + "/" + file.substr(0, file.rfind('/')));
			write_file(dir + "/" + file, name);
		}
		/* Made at one time they would say that they are one image: a warning, which mount(8) shows. */
		static time_t made = 1700000000;
		timespec times[] = {{made, 0}, {made, 0}};
		made++;
		OK(utimensat(AT_FDCWD, dir.c_str(), times, 0));
		EXPECT_EQ(run({"/usr/bin/mksquashfs", dir, image, "-quiet", "-no-progress"}).status,
			  0);
		make_dirs(at);
	}
	void mount()
	{
		must({"/bin/mount", "-o", "loop", "-t", "squashfs", image, at});
		Output devices = run({"/sbin/losetup", "-j", image});
		loop = devices.text.substr(0, devices.text.find(':'));
		EXPECT_HAS(loop, "/dev/loop");
		mounted = Mounted::adopt(at);
	}
	/* `umount`, then `losetup -d`. The image is free then. */
	void unmount()
	{
		must({"/bin/umount", at});
		mounted.forget();
		/* On some kernels umount(8) has detached the loop device already. */
		(void)run({"/sbin/losetup", "-d", loop});
		string left;
		for (int i = 0; i < 100; i++) {
			left = run({"/sbin/losetup", "-j", image}).text;
			if (left.empty())
				break;
			usleep(10000);
		}
		EXPECT_EQ(left, "");
	}
	string image, at, loop;
	Mounted mounted;
};

/* The branches of the union at @point, as Slax lists them: br* in version order, without the last three bytes. */
static Names listed(const string &point)
{
	Names names;
	string dir = sysfs_of(point);
	for (int i = 0; exists(dir + "/br" + std::to_string(i)); i++) {
		string line = read_file(dir + "/br" + std::to_string(i));
		line.pop_back();
		names.push_back(line.substr(0, line.size() - 3));
	}
	return names;
}

PARAM_CASE(slax, "util-linux", "util-linux-2.36", "util-linux-2.41")
{
	need_mount(ktap::param());
	Union u;
	std::vector<Bundle> bundles;
	for (const char *name : {"01-core", "02-desktop", "03-apps"})
		bundles.emplace_back(u.tmp, name,
				     Names{string("usr/bin/of-") + name, "etc/common"});
	mount_aufs("xino=/.xino,trunc_xino,br=" + u.top, u.mnt);
	Mounted mounted = Mounted::adopt(u.mnt);
	for (Bundle &bundle : bundles) {
		bundle.mount();
		mount_aufs("remount,add:1:" + bundle.at + "=rr+wh", u.mnt);
	}
	EXPECT_EQ(names_in(u.at("usr/bin")), (Names{"of-01-core", "of-02-desktop", "of-03-apps"}));
	EXPECT_EQ(read_file(u.at("etc/common")), "03-apps");
	EXPECT_EQ(listed(u.mnt), (Names{u.top, bundles[2].at, bundles[1].at, bundles[0].at}));
	write_file(u.at("etc/common"), "changed");
	/* A module comes to the running system. */
	Bundle more(u.tmp, "more", {"usr/bin/of-more", "etc/more"});
	for (int i = 0; i < 2; i++) {
		more.mount();
		mount_aufs("remount,add:1:" + more.at + "=rr+wh", u.mnt);
		EXPECT_EQ(read_file(u.at("usr/bin/of-more")), "more");
		EXPECT_EQ(listed(u.mnt)[1], more.at);
		mount_aufs("remount,verbose,del:" + more.at, u.mnt);
		EXPECT(!exists(u.at("etc/more")));
		more.unmount();
	}
	EXPECT_EQ(read_file(u.at("etc/common")), "changed");
	mount_aufs("remount,ro", u.mnt);
	EXPECT_ERR(mkdir(u.at("dir").c_str(), 0755), EROFS);
	must({"/bin/umount", u.mnt});
	mounted.forget();
	for (Bundle &bundle : bundles)
		bundle.unmount();
}

/*
 * Saves a session behind the union, as scripts do it: files move from the rw branch @from to the branch @to below it. A
 * whiteout removes the file there, and goes too.
 */
static void save(const string &from, const string &to)
{
	for (const string &name : names_in(from)) {
		string path = from + "/" + name;
		if (name.starts_with(".wh..wh."))
			continue;
		if (name.starts_with(".wh.")) {
			if (exists(to + "/" + name.substr(4)))
				remove_tree(to + "/" + name.substr(4));
			OK(unlink(path.c_str()));
		} else if (S_ISDIR(lstat_of(path).st_mode)) {
			make_dirs(to + "/" + name);
			save(path, to + "/" + name);
		} else {
			must({"/bin/cp", "-a", "--remove-destination", path, to + "/" + name});
			OK(unlink(path.c_str()));
		}
	}
}

CASE(puppy)
{
	Union u;
	Bundle base(u.tmp, "puppy.sfs", {"usr/bin/base", "etc/one", "etc/two", "etc/three"});
	Bundle extra(u.tmp, "extra.sfs", {"usr/bin/extra"});
	base.mount();
	extra.mount();
	mount_aufs("udba=reval,diropq=w,br=" + u.top + "=rw,xino=/tmp/.xino", u.mnt);
	Mounted mounted = Mounted::adopt(u.mnt);
	mount_aufs("remount,add:1:" + base.at + "=rr", u.mnt);
	mount_aufs("remount,append:" + extra.at + "=rr", u.mnt);
	EXPECT_EQ(names_in(u.at("usr/bin")), (Names{"base", "extra"}));
	EXPECT_EQ(read_file(sysfs_of(u.mnt) + "/br0"), u.top + "=rw\n");
	write_file(u.at("etc/one"), "first session");
	/* One remount puts the save file in the place of the rw branch. */
	string session = u.low;
	mount_aufs("remount,prepend:" + session + "=rw,mod:" + u.top + "=ro,del:" + u.top, u.mnt);
	EXPECT_EQ(read_file(u.at("etc/one")), "puppy.sfs");
	/* Users write to a tmpfs, and a script saves its files. */
	Mounted memory = mount_tmpfs("memory");
	mount_aufs("remount,prepend:" + memory.path() + "=rw,mod:" + session + "=ro", u.mnt);
	write_file(u.at("etc/one"), "changed");
	write_file(u.at("etc/new"), "new");
	OK(unlink(u.at("etc/two").c_str()));
	for (int i = 0; i < 2; i++) {
		save(memory.path(), session);
		/* A whiteout over a module's file stays a whiteout in the save file. */
		write_file(session + "/etc/.wh.two", "", 0444);
		mount_aufs("remount,udba=reval", u.mnt);
		EXPECT_EQ(read_file(u.at("etc/one")), "changed");
		EXPECT_EQ(names_in(u.at("etc")), (Names{"new", "one", "three"}));
		EXPECT_EQ(read_file(session + "/etc/new"), i ? "newer" : "new");
		EXPECT(!exists(memory.path() + "/etc/new"));
		write_file(u.at("etc/new"), "newer");
		EXPECT_EQ(read_file(memory.path() + "/etc/new"), "newer");
	}
	/* A package is installed into a branch directly. */
	mount_aufs("remount,udba=notify", u.mnt);
	EXPECT_EQ(names_in(u.at("usr/bin")), (Names{"base", "extra"}));
	make_dirs(session + "/usr/bin");
	write_file(session + "/usr/bin/package", "package");
	EXPECT_EQ(read_file(u.at("usr/bin/package")), "package");
	OK(unlink((session + "/usr/bin/package").c_str()));
	EXPECT(!exists(u.at("usr/bin/package")));
	mount_aufs("remount,udba=reval", u.mnt);
	mount_aufs("remount,noxino,noplink,ro", u.mnt);
	EXPECT_ERR(mkdir(u.at("dir").c_str(), 0755), EROFS);
	must({"/bin/umount", u.mnt});
	mounted.forget();
	base.unmount();
	extra.unmount();
}

/* Sixty layers: the first mount has as many as fit in a page of options, the others come one by one. */
CASE(docker)
{
	constexpr unsigned count = 60;
	Union u;
	Names layers;
	for (unsigned i = 0; i < count; i++) {
		layers.push_back(u.tmp + ktap::format("/%064u", i));
		make_dir(layers.back());
		write_file(layers.back() + "/all", std::to_string(i));
		write_file(layers.back() + "/of-" + std::to_string(i), "");
	}
	/* A layer hides a file of a lower layer. */
	write_file(layers[3] + "/.wh.of-50", "", 0444);
	string options = "br:" + u.top + "=rw", end = ",dio,xino=/dev/shm/aufs.xino,dirperm1";
	unsigned next = 0;
	while (next < count && options.size() + end.size() + layers[next].size() + 8 < page_size())
		options += ":" + layers[next++] + "=ro+wh";
	EXPECT_GT(next, 20u);
	EXPECT_LT(next, count);
	OK(mount("none", u.mnt.c_str(), "aufs", 0, (options + end).c_str()));
	Mounted mounted = Mounted::adopt(u.mnt);
	for (; next < count; next++)
		OK(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT,
			 ("append:" + layers[next] + "=ro+wh,").c_str()));
	EXPECT_EQ(read_file(u.at("all")), "0");
	EXPECT_EQ(names_in(u.mnt).size(), count);
	EXPECT(exists(u.at("of-59")) && !exists(u.at("of-50")));
	write_file(u.at("of-59"), "changed");
	EXPECT_EQ(read_file(u.top + "/of-59"), "changed");
	string shown = u.top + "=rw";
	for (const string &layer : layers)
		shown += ":" + layer + "=ro";
	EXPECT_EQ(shown_branches(u.mnt), shown);
}

/* The commands of live-boot and casper, and a union of two disks of a NAS. */
PARAM_CASE(live_boot_and_nas, "util-linux", "util-linux-2.36", "util-linux-2.41")
{
	need_mount(ktap::param());
	Union u;
	write_file(u.low + "/of-low", "low");
	mount_aufs("noatime,noxino,dirs=" + u.top + "=rw:" + u.low + "=rr+wh", u.mnt);
	EXPECT_EQ(read_file(u.at("of-low")), "low");
	EXPECT_HAS(shown_options(u.mnt), "noatime");
	must({"/bin/umount", u.mnt});
	for (const char *policy : {"create=pmfs,sum", "sum,create=mfs"}) {
		mount_aufs("br=" + u.top + "=rw:" + u.low + "=rw," + policy, u.mnt);
		write_file(u.at("file"), policy);
		EXPECT(exists(u.top + "/file") != exists(u.low + "/file"));
		OK(unlink(u.at("file").c_str()));
		must({"/bin/umount", u.mnt});
	}
}
