// SPDX-License-Identifier: GPL-2.0-only

#include "recorded_disk.hh"

#include <algorithm>

#include <sys/ioctl.h>

#include <linux/dm-ioctl.h>

namespace
{

/* The format of dm-log-writes: a sector with this head, then for each entry a sector and its data. */
struct LogHead {
	uint64_t magic, version, entries;
	uint32_t sector_size;
};
struct LogEntry {
	uint64_t sector, sectors, flags, length;
};
constexpr uint64_t log_magic = 0x6a736677736872;
enum : uint64_t { flush_flag = 1, fua_flag = 2, discard_flag = 4, mark_flag = 8 };
constexpr const char *last_mark = "dm-log-writes-end";

/* More than a run writes. The log is a sparse file. */
constexpr off_t log_size = 512 << 20, changes_size = 64 << 20;

template <typename T> T read_at(const Map &map, size_t at)
{
	T value;
	ASSERT_GE(map.length(), at + sizeof(value));
	memcpy(&value, map.at(at), sizeof(value));
	return value;
}

Map map_file(const string &path)
{
	Fd fd = open_file(path, O_RDONLY);
	return Map(fstat_of(fd).st_size, PROT_READ, MAP_SHARED, fd);
}

void write_all(int fd, const char *data, uint64_t size, uint64_t at)
{
	while (size) {
		ssize_t done = OK(pwrite(fd, data, size, at));
		data += done;
		size -= done;
		at += done;
	}
}

void write_entry(int fd, const Recording::Entry &entry)
{
	if (entry.discard)
		write_all(fd, string(entry.size, '\0').data(), entry.size, entry.at);
	else
		write_all(fd, entry.data, entry.size, entry.at);
}

/* Copies the file @from to the new file @to, without pages of zeros. */
void copy_disk(const string &from, int to)
{
	Map content = map_file(from);
	Fd fd = open_file(from, O_RDONLY);
	const string nothing(4096, '\0');
	off_t end = 0;
	for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0; at = end) {
		end = OK(lseek(fd, at, SEEK_HOLE));
		for (; at < end; at += 4096) {
			size_t length = std::min<off_t>(4096, end - at);
			if (memcmp(content.at(at), nothing.data(), length))
				write_all(to, content.at(at), length, at);
		}
	}
}

} // namespace

RecordedDisk::RecordedDisk(const Disk &disk, off_t size, const string &log)
	: log_(log, log_size),
	  mapped_("recorded", size, "log-writes " + disk.name + " " + log_.name),
	  control_(open_file("/dev/mapper/control", O_RDWR))
{
	name = mapped_.name;
}

/* As `dmsetup message`, but without a process: this is called before and after each operation. */
void RecordedDisk::mark(const string &text)
{
	string message = "mark " + text;
	size_t size = sizeof(dm_ioctl) + sizeof(dm_target_msg) + message.size() + 1;
	std::vector<char> request(std::max<size_t>(size, 1024));
	dm_ioctl head = {};
	head.version[0] = DM_VERSION_MAJOR;
	head.data_size = request.size();
	head.data_start = sizeof(head);
	strncpy(head.name, mapped_.dm_name().c_str(), sizeof(head.name) - 1);
	memcpy(request.data(), &head, sizeof(head));
	/* Sector 0 chooses the target. */
	memcpy(request.data() + sizeof(head) + sizeof(dm_target_msg), message.data(),
	       message.size());
	OK(ioctl(control_, DM_TARGET_MSG, request.data()));
}

Recording::Recording(const string &log) : log_(map_file(log))
{
	auto head = read_at<LogHead>(log_, 0);
	ASSERT_EQ(head.magic, log_magic);
	uint64_t sector = head.sector_size, at = sector;
	ASSERT_GE(sector, 512u);
	for (uint64_t i = 0; i < head.entries; i++) {
		auto written = read_at<LogEntry>(log_, at);
		Entry entry = {};
		entry.at = written.sector * sector;
		entry.size = written.sectors * sector;
		entry.flush = written.flags & flush_flag;
		entry.lasting = written.flags & fua_flag;
		entry.discard = written.flags & discard_flag;
		uint64_t stored = entry.discard ? 0 : entry.size;
		ASSERT_GE(log_.length(), at + sector + stored);
		entry.data = log_.at(at + sector);
		if (written.flags & mark_flag) {
			ASSERT_GT(sector, sizeof(written) + written.length);
			entry.mark = log_.text(written.length, at + sizeof(written));
		}
		entries_.push_back(entry);
		at += sector + stored;
	}
	/* Else the kernel has stopped recording in between. */
	ASSERT(!entries_.empty());
	ASSERT_EQ(entries_.back().mark, last_mark);
}

Replay::Replay(const string &disk, const string &dir)
	: size_(stat_of(disk).st_size), image_disk_(dir + "/image", size_),
	  changes_(dir + "/changes", changes_size), image_(open_file(dir + "/image", O_RDWR))
{
	copy_disk(disk, image_);
}

/* Brings the image to the last flush among the first @count entries. Returns the target over the image. */
string Replay::bring_to(const Recording &recording, size_t count)
{
	const std::vector<Recording::Entry> &entries = recording.entries();
	size_t flushed = count;
	while (flushed > 0 && !entries[flushed - 1].flush)
		flushed--;
	ASSERT_GE(flushed, done_);
	for (; done_ < flushed; done_++)
		write_entry(image_, entries[done_]);
	return "snapshot " + image_disk_.name + " " + changes_.name + " N 8";
}

CutDisk::CutDisk(Replay &replay, const Recording &recording, size_t count, Random *lost)
	: mapped_("cut", replay.size_, replay.bring_to(recording, count))
{
	name = mapped_.name;
	Fd fd = open_file(name, O_RDWR);
	for (size_t i = replay.done_; i < count; i++) {
		const Recording::Entry &entry = recording.entries()[i];
		if (!lost || entry.lasting || lost->one_in(2))
			write_entry(fd, entry);
	}
	OK(fsync(fd));
}
