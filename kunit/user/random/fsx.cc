// SPDX-License-Identifier: GPL-2.0-only
//
// A file of the union beside its content in memory. It is read and written by several descriptors and mappings, cut,
// punched, collapsed and copied, from when it is on a lower branch on. AUFS_SEED and AUFS_STEPS choose another run.
//
// Combinations: tmpfs ext4+xfs

#include "tree_ops.hh"

#include <algorithm>
#include <deque>
#include <memory>

namespace
{

class Exerciser
{
public:
	/* For @name in @u, which has @content. */
	Exerciser(Union &u, Random &random, string name, string content)
		: u_(u), random_(random), name_(std::move(name)), content_(std::move(content))
	{
	}
	void run(unsigned long steps);
	/* Compares all of the file, by name and by each descriptor. */
	void compare_all();

private:
	static constexpr size_t largest = 256 << 10;
	enum What {
		read_it,
		write_it,
		append,
		mapped_read,
		mapped_write,
		mapped_here,
		truncate_it,
		punch,
		zero,
		collapse,
		insert,
		copy_within,
		copy_from_other,
		sync_it,
		reopen,
		rename_it,
		drop,
		kinds
	};

	string path() const
	{
		return u_.at(name_);
	}
	int some_fd()
	{
		return fds_[random_.below(std::size(fds_))];
	}
	size_t offset_in(size_t size)
	{
		return size ? random_.below(size) : 0;
	}
	size_t some_length()
	{
		return 1 + random_.below(random_.one_in(3) ? 60000 : 3000);
	}
	string some_text()
	{
		return pattern(some_length(), random_.below(1000));
	}
	/* Compares the bytes that were read at @offset with those that were written. */
	void check(const string &got, size_t offset, const char *how);
	void put(const string &text, size_t offset);
	void one(What what);
	void map_something(bool write);
	void through_long_map();
	void change_layout(What what);
	void copy(What what);
	void open_all();

	Union &u_;
	Random &random_;
	string name_, content_;
	Fd fds_[3];
	std::unique_ptr<Map> map_; /* a mapping of the largest size of the file, which stays */
	bool unsupported_[kinds] = {};
	unsigned long done_[kinds] = {};
	std::deque<string> last_;
};

void Exerciser::open_all()
{
	static const int flags[] = {O_RDWR, O_RDWR, O_RDWR | O_NOATIME};
	for (size_t i = 0; i < std::size(fds_); i++)
		fds_[i] = open_file(path(), flags[i]);
	map_ = std::make_unique<Map>(largest, PROT_READ | PROT_WRITE, MAP_SHARED, fds_[0]);
}

void Exerciser::check(const string &got, size_t offset, const char *how)
{
	string wanted = content_.substr(std::min(offset, content_.size()), got.size());
	if (got == wanted)
		return;
	size_t at = std::mismatch(got.begin(), got.end(), wanted.begin(), wanted.end()).first -
		    got.begin();
	ktap::say("the last operations:");
	for (const string &text : last_)
		ktap::say("  " + text);
	ktap::fail(
		__FILE__, __LINE__,
		ktap::format("what was written\n  %s at %zu of %zu bytes differs from %zu on: %s, "
			     "not %s",
			     how, offset, content_.size(), offset + at,
			     ktap::quote(got.substr(at, 20)).c_str(),
			     ktap::quote(wanted.substr(at, 20)).c_str()));
	throw ktap::Abort{};
}

void Exerciser::put(const string &text, size_t offset)
{
	if (offset + text.size() > content_.size())
		content_.resize(offset + text.size());
	content_.replace(offset, text.size(), text);
}

/* Makes a mapping for one access, by any descriptor, from any page on. */
void Exerciser::map_something(bool write)
{
	if (content_.empty())
		return;
	size_t offset = offset_in(content_.size());
	size_t start = offset / page_size() * page_size();
	size_t length = std::min(some_length(), content_.size() - offset);
	Map map(offset - start + length, PROT_READ | PROT_WRITE, MAP_SHARED, some_fd(), start);
	if (write) {
		string text = pattern(length, random_.below(1000));
		memcpy(map.at(offset - start), text.data(), length);
		put(text, offset);
		if (random_.one_in(4))
			OK(msync(map.at(), map.length(), MS_SYNC));
	} else {
		check(map.text(length, offset - start), offset, "a mapping");
	}
}

void Exerciser::through_long_map()
{
	if (content_.empty())
		return;
	size_t offset = offset_in(content_.size());
	size_t length = std::min(some_length(), content_.size() - offset);
	if (random_.one_in(2)) {
		check(map_->text(length, offset), offset, "the mapping");
		return;
	}
	string text = pattern(length, random_.below(1000));
	memcpy(map_->at(offset), text.data(), length);
	put(text, offset);
}

void Exerciser::change_layout(What what)
{
	size_t offset = offset_in(content_.size() + 1), length = some_length();
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	if (what == zero)
		mode = FALLOC_FL_ZERO_RANGE;
	if (what == collapse || what == insert) {
		mode = what == collapse ? FALLOC_FL_COLLAPSE_RANGE : FALLOC_FL_INSERT_RANGE;
		offset = offset / 4096 * 4096;
		length = (1 + random_.below(4)) * 4096;
		if (offset + length >= content_.size())
			return;
	}
	if ((what == zero && offset + length > largest) ||
	    (what == insert && content_.size() + length > largest))
		return;
	if (fallocate(some_fd(), mode, offset, length)) {
		ASSERT_EQ(errno, EOPNOTSUPP);
		unsupported_[what] = true;
		return;
	}
	if (what == collapse) {
		content_.erase(offset, length);
	} else if (what == insert) {
		content_.insert(offset, length, '\0');
	} else {
		if (what == punch)
			length = std::min(length, content_.size() - offset);
		put(string(length, '\0'), offset);
	}
}

void Exerciser::copy(What what)
{
	string source = content_;
	Fd other;
	int from = some_fd(), to = some_fd();
	if (what == copy_from_other) {
		/* This file stays on its lower branch. */
		other = open_file(u_.at("other"), O_RDONLY);
		from = other;
		source = read_file(u_.low + "/other");
	}
	if (source.empty())
		return;
	off_t in = offset_in(source.size()), out = offset_in(content_.size() + 1);
	size_t length = std::min({some_length(), source.size() - in, largest - out});
	if (what == copy_within && in < out + off_t(length) && out < in + off_t(length))
		return; /* EINVAL: they overlap */
	off_t in_end = in, out_end = out;
	ssize_t copied = copy_file_range(from, &in_end, to, &out_end, length, 0);
	ASSERT_GT(copied, 0);
	ASSERT_EQ(in_end, in + copied);
	put(source.substr(in, copied), out);
}

void Exerciser::one(What what)
{
	last_.push_back(
		ktap::format("%lu: kind %d, %zu bytes", done_[what], what, content_.size()));
	if (last_.size() > 12)
		last_.pop_front();
	done_[what]++;
	switch (what) {
	case read_it: {
		size_t offset = offset_in(content_.size() + 100);
		string got = pread_text(some_fd(), some_length(), offset);
		check(got, offset, "pread");
		break;
	}
	case write_it: {
		string text = some_text();
		size_t offset = offset_in(std::min(content_.size() + 5000, largest - text.size()));
		ASSERT_EQ(pwrite(some_fd(), text.data(), text.size(), offset),
			  ssize_t(text.size()));
		put(text, offset);
		break;
	}
	case append: {
		string text = some_text();
		if (content_.size() + text.size() > largest)
			break;
		Fd fd = open_file(path(), O_WRONLY | O_APPEND);
		ASSERT_EQ(write(fd, text.data(), text.size()), ssize_t(text.size()));
		put(text, content_.size());
		break;
	}
	case mapped_read:
	case mapped_write:
		map_something(what == mapped_write);
		break;
	case mapped_here:
		through_long_map();
		break;
	case truncate_it: {
		size_t size = random_.one_in(20) ? 0 : random_.below(largest);
		OK(random_.one_in(2) ? ftruncate(some_fd(), size) : truncate(path().c_str(), size));
		content_.resize(size);
		break;
	}
	case punch:
	case zero:
	case collapse:
	case insert:
		if (!unsupported_[what])
			change_layout(what);
		break;
	case copy_within:
	case copy_from_other:
		copy(what);
		break;
	case sync_it:
		OK(fsync(some_fd()));
		break;
	case reopen:
		map_.reset();
		open_all();
		break;
	case rename_it: {
		string next = name_ == "file" ? "renamed" : "file";
		OK(rename(path().c_str(), u_.at(next).c_str()));
		name_ = next;
		break;
	}
	case drop:
		if (random_.one_in(10))
			write_control("/proc/sys/vm/drop_caches", random_.one_in(2) ? "1" : "3");
		break;
	case kinds:
		break;
	}
	ASSERT_EQ(size_t(fstat_of(some_fd()).st_size), content_.size());
}

void Exerciser::compare_all()
{
	string got = read_file(path());
	ASSERT_EQ(got.size(), content_.size());
	check(got, 0, "read by name");
	for (const Fd &fd : fds_)
		check(pread_text(fd, largest, 0), 0, "a descriptor");
	check(map_->text(content_.size()), 0, "the mapping");
	/* Behind the end of the file there are zeros, in the last page of a mapping as well. */
	size_t rest = (page_size() - content_.size() % page_size()) % page_size();
	EXPECT_EQ(map_->text(rest, content_.size()), string(rest, '\0'));
}

void Exerciser::run(unsigned long steps)
{
	open_all();
	for (unsigned long i = 1; i <= steps; i++) {
		one(static_cast<What>(random_.below(kinds)));
		if (i % 200 == 0)
			compare_all();
	}
	compare_all();
	string text;
	for (int what = 0; what < kinds; what++)
		text += unsupported_[what] ? " -" : ktap::format(" %lu", done_[what]);
	ktap::say("operations of each kind:" + text);
}

} // namespace

PARAM_CASE(file_beside_memory, "lower", "sparse", "new")
{
	Union u;
	Random random(chosen_seed());
	string p = ktap::param(), content = pattern(150000);
	write_file(u.low + "/other", pattern(200000, 5));
	if (p == "new")
		content = "";
	else
		write_file(u.low + "/file", content);
	if (p == "sparse") {
		OK(truncate((u.low + "/file").c_str(), 1 << 18));
		content.resize(1 << 18);
	}
	string before = snapshot(u.low);
	u.mount();
	if (p == "new")
		write_file(u.at("file"), "");

	/*
	 * A mapping that is older than the copy-up goes on showing the old file. A private mapping shows what was
	 * written through it.
	 */
	Fd old_reader = open_file(u.at("file"), O_RDONLY);
	Map whole(std::max<size_t>(content.size(), 1), PROT_READ, MAP_SHARED, old_reader);
	Map own(std::max<size_t>(content.size(), 1), PROT_READ | PROT_WRITE, MAP_PRIVATE,
		old_reader);
	if (p != "new")
		own[4096] = '!';
	{
		Exerciser exerciser(u, random, "file", content);
		exerciser.run(chosen_steps(800));
	}
	if (p != "new") {
		/* The descriptor has followed the copy-up. */
		string now = read_file(u.at(exists(u.at("file")) ? "file" : "renamed"));
		EXPECT(pread_text(old_reader, now.size() + 1, 0) == now);
		EXPECT(whole.text(content.size()) == content);
		string private_content = content;
		private_content[4096] = '!';
		EXPECT(own.text(content.size()) == private_content);
	}
	EXPECT_EQ(snapshot(u.low), before);
	EXPECT(!exists(u.top + "/other"));
	expect_no_debris(u.top);
}

/* Written data is there when the union comes back, and the file has the same number. */
CASE(file_across_remounts)
{
	Union u;
	Random random(chosen_seed());
	string content = pattern(100000);
	write_file(u.low + "/file", content);
	write_file(u.low + "/other", pattern(200000, 5));
	u.mount();
	ino_t number = stat_of(u.at("file")).st_ino;
	unsigned long rounds = chosen_steps(1000) / 200;
	for (unsigned long i = 0; i < rounds; i++) {
		{
			Exerciser exerciser(u, random, "file", content);
			exerciser.run(200);
			content = exists(u.at("file")) ? read_file(u.at("file")) :
							 read_file(u.at("renamed"));
		}
		if (exists(u.at("renamed")))
			OK(rename(u.at("renamed").c_str(), u.at("file").c_str()));
		u.unmount();
		u.mount();
		EXPECT(read_file(u.at("file")) == content);
		EXPECT_EQ(stat_of(u.at("file")).st_ino, number);
	}
}
