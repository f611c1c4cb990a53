/* SPDX-License-Identifier: GPL-2.0-only */
//
// Images of filesystems, with a small tree in each, to be damaged.
#pragma once

#include "disk.hh"
#include "tree_ops.hh"

#include <algorithm>

#include <sys/xattr.h>

/* A filesystem for images. */
struct ImageKind {
	const char *name, *type, *options;
	/* The command that makes an image of a directory. Without one, the device is formatted and filled. */
	std::vector<string> make;
	off_t size; /* of the device */
	std::vector<string> arguments;
};

inline const std::vector<ImageKind> image_kinds = {
	{"squashfs",
	 "squashfs",
	 "",
	 {"/usr/bin/mksquashfs", "SOURCE", "IMAGE", "-quiet", "-noappend", "-no-progress", "-b",
	  "4096"},
	 0,
	 {}},
	/* With packed inodes and names a wrong bit is an error of unpacking. These are not packed. */
	{"squashfs_unpacked",
	 "squashfs",
	 "",
	 {"/usr/bin/mksquashfs", "SOURCE", "IMAGE", "-quiet", "-noappend", "-no-progress", "-b",
	  "4096", "-noI", "-noX"},
	 0,
	 {}},
	{"erofs", "erofs", "", {"/usr/bin/mkfs.erofs", "-zlz4", "IMAGE", "SOURCE"}, 0, {}},
	{"ext4", "ext4", "noload,errors=continue", {}, 8 << 20, {}},
	{"ext4_without_checksums",
	 "ext4",
	 "noload,errors=continue",
	 {},
	 8 << 20,
	 {"-O", "^metadata_csum,^metadata_csum_seed"}},
	/* mkfs.xfs makes none that is smaller. */
	{"xfs", "xfs", "norecovery", {}, 300 << 20, {}},
};

/* Fills the tree of an image. Its attributes are of a class that tmpfs keeps, on each kernel. */
inline void fill_image(const string &dir)
{
	auto attributes = [](const string &path) {
		string big = pattern(700, 7);
		OK(setxattr(path.c_str(), "trusted.small", "value", 5, 0));
		OK(setxattr(path.c_str(), "trusted.big", big.data(), big.size(), 0));
	};
	write_file(dir + "/file", pattern(40000));
	write_file(dir + "/small", pattern(50, 2));
	write_file(dir + "/empty", "");
	write_file(dir + "/sparse", "at the start");
	OK(truncate((dir + "/sparse").c_str(), 100000));
	OK(symlink("file", (dir + "/link").c_str()));
	OK(symlink(pattern(300, 3).c_str(), (dir + "/long_link").c_str()));
	OK(mkfifo((dir + "/fifo").c_str(), 0644));
	OK(mknod((dir + "/device").c_str(), S_IFCHR | 0644, makedev(1, 3)));
	make_dirs(dir + "/a/b/c");
	write_file(dir + "/a/b/c/deep", pattern(9000, 4));
	write_file(dir + "/a/one", pattern(100, 5));
	OK(link((dir + "/a/one").c_str(), (dir + "/a/two").c_str()));
	make_dir(dir + "/nothing");
	make_dir(dir + "/many");
	for (unsigned i = 0; i < 12; i++)
		write_file(dir + "/many/" + string(40, char('a' + i)) + std::to_string(i),
			   pattern(20, i));
	attributes(dir + "/file");
	attributes(dir + "/a/b");
}

/*
 * An image on a read-only device-mapper device: the test's log may have the kernel's messages about such a one
 * (scripts/testing/check-log). While it is not mounted, bits of it can be flipped.
 */
class Image
{
public:
	Image(const Union &u, const ImageKind &kind)
		: path(u.tmp + "/branch"), kind_(kind), made_(made(u)),
		  disk_(u.tmp + "/image", kind.size ? kind.size : off_t(made_.size())),
		  file_(open_file(u.tmp + "/image", O_RDWR))
	{
		make_dir(path);
		if (!kind.size) {
			put(0, made_);
		} else {
			if (kind.type == string("xfs"))
				make_xfs(disk_.name);
			else
				make_ext4(disk_.name, kind.arguments);
			Mounted mounted(disk_.name, path, kind.type, 0, "");
			fill_image(path);
		}
		disk_.protect();
		find_used();
	}
	/* Flips @count bits in sectors that are not all zeros. */
	void damage(Random &random, unsigned count)
	{
		while (count--)
			flip(used_[random.below(used_.size())] + random.below(sector),
			     1 << random.below(8));
	}
	void flip(off_t at, unsigned bits)
	{
		char byte = 0;
		ASSERT_EQ(pread(file_, &byte, 1, at), 1);
		flipped_.emplace_back(at, byte);
		put(at, string(1, static_cast<char>(byte ^ bits)));
	}
	void mend()
	{
		for (; !flipped_.empty(); flipped_.pop_back())
			put(flipped_.back().first, string(1, flipped_.back().second));
	}
	/* Returns 0 or the errno. */
	int mount() const
	{
		return ::mount(disk_.name.c_str(), path.c_str(), kind_.type, MS_RDONLY,
			       kind_.options) ?
			       errno :
			       0;
	}
	/* Whether nobody has the device, not even by a mount that is not visible. */
	bool is_free() const
	{
		return Fd(open(disk_.name.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC)) >= 0;
	}
	uint64_t number_at(off_t at) const
	{
		uint64_t number = 0;
		ASSERT_EQ(pread(file_, &number, sizeof(number), at), ssize_t(sizeof(number)));
		return number;
	}
	const string path;

private:
	static constexpr unsigned sector = 512;

	/* The whole image, if a command makes it of a directory. */
	string made(const Union &u) const
	{
		string source = u.tmp + "/source", image = u.tmp + "/made";
		if (kind_.size)
			return "";
		make_dir(source);
		fill_image(source);
		std::vector<string> command = kind_.make;
		for (string &word : command)
			word = word == "SOURCE" ? source : word == "IMAGE" ? image : word;
		Output out = run(command);
		if (out.status != 0)
			ktap::say(out.text);
		ASSERT_EQ(out.status, 0);
		string content = read_file(image);
		content.resize((content.size() + 4095) / 4096 * 4096);
		return content;
	}
	void put(off_t at, const string &bytes)
	{
		ASSERT_EQ(pwrite(file_, bytes.data(), bytes.size(), at), ssize_t(bytes.size()));
	}
	void find_used()
	{
		static const char zeros[sector] = {};
		off_t size = fstat_of(file_).st_size;
		for (off_t at = 0; (at = lseek(file_, at, SEEK_DATA)) >= 0 && at < size;) {
			off_t end = OK(lseek(file_, at, SEEK_HOLE));
			for (; at < end; at += 65536) {
				string piece =
					pread_text(file_, std::min<off_t>(65536, end - at), at);
				for (size_t in = 0; in + sector <= piece.size(); in += sector)
					if (memcmp(piece.data() + in, zeros, sector) != 0)
						used_.push_back(at + in);
			}
			at = end;
		}
		/* A squashfs packs all of the tree into six sectors. */
		ASSERT_GT(used_.size(), 4u);
	}

	const ImageKind &kind_;
	string made_;
	BreakableDisk disk_;
	Fd file_;
	std::vector<off_t> used_;
	std::vector<std::pair<off_t, char>> flipped_;
};
