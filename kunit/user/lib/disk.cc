// SPDX-License-Identifier: GPL-2.0-only

#include "disk.hh"

#include <sys/ioctl.h>
#include <sys/quota.h>

#include <linux/fs.h>
#include <linux/loop.h>

static void must_run(const std::vector<string> &command)
{
	Output output = run(command);
	if (output.status != 0) {
		ktap::fail(__FILE__, __LINE__,
			   ktap::format("%s works\n  it ended with %d: %s", command[0].c_str(),
					output.status, output.text.c_str()));
		throw ktap::Abort{};
	}
}

Disk::Disk(const string &path, off_t size)
{
	write_file(path, "");
	OK(truncate(path.c_str(), size));
	Fd file = open_file(path, O_RDWR), control = open_file("/dev/loop-control", O_RDWR);
	name = ktap::format("/dev/loop%d", OK(ioctl(control, LOOP_CTL_GET_FREE)));
	device_ = open_file(name, O_RDWR);
	loop_config config = {};
	config.fd = file;
	config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
	OK(ioctl(device_, LOOP_CONFIGURE, &config));
}

static constexpr const char *dmsetup = "/sbin/dmsetup";

static string table(unsigned long sectors, const string &target)
{
	return ktap::format("0 %lu %s", sectors, target.c_str());
}

MappedDevice::MappedDevice(const string &kind, off_t size, const string &target)
	: dm_name_(ktap::format("aufs-%s-%d", kind.c_str(), getpid())), sectors_(size / 512)
{
	must_run({dmsetup, "create", "--noudevrules", "--noudevsync", dm_name_, "--table",
		  table(sectors_, target)});
	/* Without udev the device has only the kernel's own name. */
	Output info = run({dmsetup, "info", "-c", "--noheadings", "-o", "blkdevname", dm_name_});
	ASSERT_EQ(info.status, 0);
	name = "/dev/" + info.text.substr(0, info.text.find('\n'));
}

MappedDevice::~MappedDevice()
{
	ktap::guarded([this] {
		must_run({dmsetup, "remove", "--noudevrules", "--noudevsync", dm_name_});
	});
}

/* Without a freeze of the filesystem there: a disk that breaks does not ask. */
void MappedDevice::load(const string &target, const std::vector<string> &arguments)
{
	std::vector<string> command = {dmsetup, "load", dm_name_, "--table",
				       table(sectors_, target)};
	command.insert(command.end(), arguments.begin(), arguments.end());
	must_run({dmsetup, "suspend", "--nolockfs", "--noflush", dm_name_});
	must_run(command);
	must_run({dmsetup, "resume", "--noudevrules", "--noudevsync", dm_name_});
}

BreakableDisk::BreakableDisk(const string &path, off_t size)
	: disk_(path, size), mapped_("test", size, "linear " + disk_.name + " 0")
{
	name = mapped_.name;
}

void BreakableDisk::fail_writes()
{
	mapped_.load("flakey " + disk_.name + " 0 0 3600 1 error_writes");
}

void BreakableDisk::lose_writes()
{
	mapped_.load("flakey " + disk_.name + " 0 0 3600 1 drop_writes");
}

void BreakableDisk::protect()
{
	mapped_.load("linear " + disk_.name + " 0", {"--readonly"});
}

void BreakableDisk::mend()
{
	mapped_.load("linear " + disk_.name + " 0");
}

void make_ext4(const string &device, const std::vector<string> &arguments)
{
	std::vector<string> command = {"/sbin/mkfs.ext4", "-q", "-F"};
	command.insert(command.end(), arguments.begin(), arguments.end());
	command.push_back(device);
	must_run(command);
}

void make_xfs(const string &device)
{
	must_run({"/sbin/mkfs.xfs", "-q", "-f", device});
}

Mounted mount_ext4(const string &device, const string &path, const string &data)
{
	make_dir(path);
	return Mounted(device, path, "ext4", 0, data);
}

void set_quota(const string &device, QuotaOf what, unsigned id, uint64_t blocks_1k, uint64_t inodes)
{
	dqblk limits = {};
	limits.dqb_bhardlimit = blocks_1k;
	limits.dqb_ihardlimit = inodes;
	limits.dqb_valid = QIF_LIMITS;
	OK(quotactl(QCMD(Q_SETQUOTA, static_cast<int>(what)), device.c_str(), id,
		    reinterpret_cast<char *>(&limits)));
}

void set_project(const string &path, unsigned id)
{
	Fd file = open_file(path, O_RDONLY);
	fsxattr attributes = {};
	OK(ioctl(file, FS_IOC_FSGETXATTR, &attributes));
	attributes.fsx_projid = id;
	if (S_ISDIR(fstat_of(file).st_mode))
		attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	OK(ioctl(file, FS_IOC_FSSETXATTR, &attributes));
}
