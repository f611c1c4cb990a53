// SPDX-License-Identifier: GPL-2.0-only

#include "history.hh"

#include <algorithm>
#include <set>

/* A file's data is on disk block by block. All of a block is of one moment. */
static constexpr size_t block = 4096;

static void look_below(const string &root, const string &dir, std::map<ino_t, string> &names,
		       Tree &tree)
{
	for (const string &entry : names_in(root + dir)) {
		string name = dir + entry, path = root + name;
		struct stat is = lstat_of(path);
		string &text = tree.text;
		text += ktap::format("%s mode=%o owner=%u:%u", name.c_str(), is.st_mode, is.st_uid,
				     is.st_gid);
		if (S_ISREG(is.st_mode)) {
			text += ktap::format(" size=%lld", (long long)is.st_size);
			tree.files[name] = is.st_ino;
		} else if (S_ISLNK(is.st_mode)) {
			text += " -> " + link_target(path);
		} else if (S_ISCHR(is.st_mode)) {
			text += ktap::format(" device=%lx", (unsigned long)is.st_rdev);
		}
		if (!S_ISDIR(is.st_mode) && is_old(is.st_mtim))
			text += ktap::format(" of %lld.%09ld", (long long)is.st_mtim.tv_sec,
					     is.st_mtim.tv_nsec);
		for (const auto &[attribute, value] : xattrs_in(path))
			text += " " + attribute + "=" + ktap::quote(value);
		if (!S_ISDIR(is.st_mode)) {
			auto [first, fresh] = names.try_emplace(is.st_ino, name);
			if (!fresh)
				text += " is " + first->second;
		}
		text += "\n";
		tree.known.all.push_back(name);
		if (S_ISDIR(is.st_mode)) {
			tree.known.dirs.push_back(name + "/");
			look_below(root, name + "/", names, tree);
		}
	}
}

Tree look(const string &root)
{
	Tree tree;
	std::map<ino_t, string> names;
	look_below(root, "", names, tree);
	return tree;
}

void History::note(unsigned op, const string &file)
{
	Tree now = look(model_);
	ino_t changed = file.empty() ? 0 : stat_of(model_ + file).st_ino;
	for (const auto &[name, number] : now.files) {
		std::vector<Version> &versions = versions_[number];
		if (versions.empty() || number == changed) {
			versions.push_back({op, read_file(model_ + name)});
			/* The file may have further names. */
			changed = number == changed ? 0 : changed;
		}
	}
	if (states_.empty() || now.text != tree().text || now.files != tree().files)
		states_.push_back({op, std::move(now)});
}

unsigned History::note_synced(unsigned op, bool names, ino_t file)
{
	size_t before = synced_.empty() ? 0 : synced_.back().state;
	synced_.push_back({names ? states_.size() - 1 : before, op, false, file});
	return synced_.size();
}

unsigned History::note_all_synced(unsigned op)
{
	synced_.push_back({states_.size() - 1, op, true, 0});
	return synced_.size();
}

/* Whether the data of @file in @state has to be there: no block of it was freed since. */
bool History::is_wanted(ino_t file, size_t state, const Range &range) const
{
	if (!reuses_blocks_)
		return true;
	for (const Version &version : versions_.at(file))
		if (version.op > states_[state].op && version.op <= range.begun)
			return false;
	for (size_t n = state; n <= range.last; n++) {
		const auto &files = states_[n].tree.files;
		if (std::none_of(files.begin(), files.end(),
				 [&](const auto &one) { return one.second == file; }))
			return false;
	}
	return true;
}

/* Whether the block at @at of @content is that of @file at a possible moment. */
bool History::may_be(ino_t file, const string &content, size_t at, const Range &range) const
{
	const std::vector<Version> &versions = versions_.at(file);
	string is = content.substr(at, block);
	unsigned on_disk = 0;
	for (unsigned i = 0; i < range.synced; i++)
		if (synced_[i].all || synced_[i].file == file)
			on_disk = synced_[i].op;
	for (size_t i = 0; i < versions.size() && versions[i].op <= range.begun; i++) {
		if (i + 1 < versions.size() && versions[i + 1].op <= on_disk)
			continue;
		string was;
		if (at < versions[i].content.size())
			was = versions[i].content.substr(at, block);
		/* Behind the end of a file there are zeros. */
		was.resize(is.size());
		if (is == was)
			return true;
	}
	return false;
}

/* Returns the name of a file with data of no possible moment; empty if there is none. */
string History::wrong_content(const string &root, size_t state, const Range &range) const
{
	for (const auto &[name, file] : states_[state].tree.files) {
		if (!is_wanted(file, state, range))
			continue;
		string content = read_file(root + name);
		for (size_t at = 0; at < content.size(); at += block)
			if (!may_be(file, content, at, range))
				return name + ktap::format(" at %zu, of %zu bytes and %zu versions",
							   at, content.size(),
							   versions_.at(file).size());
	}
	return "";
}

static std::set<string> lines_of(const string &text)
{
	std::set<string> lines;
	for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
		lines.insert(text.substr(at, text.find('\n', at) - at));
	return lines;
}

/* Reports the differences from the nearest state. */
void History::report(const Tree &seen, const Range &range) const
{
	constexpr size_t most = 20;
	std::set<string> is = lines_of(seen.text);
	std::vector<string> nearest;
	for (size_t n = range.first; n <= range.last; n++) {
		std::set<string> was = lines_of(states_[n].tree.text);
		std::vector<string> differences = {ktap::format(
			"against what operation %u left, of %zu states that may be:", states_[n].op,
			range.last + 1 - range.first)};
		for (const string &line : is)
			if (!was.count(line))
				differences.push_back("  there is     " + line);
		for (const string &line : was)
			if (!is.count(line))
				differences.push_back("  there is not " + line);
		if (nearest.empty() || differences.size() < nearest.size())
			nearest = differences;
	}
	for (size_t i = 0; i < nearest.size() && i < most; i++)
		ktap::say(nearest[i]);
}

size_t History::find(const string &root, unsigned begun, unsigned synced, const string &when) const
{
	Range range = {0, 0, begun, synced};
	range.first = range.last = synced ? synced_[synced - 1].state : 0;
	while (range.last + 1 < states_.size() && states_[range.last + 1].op <= begun)
		range.last++;
	Tree seen = look(root);
	string wrong = "names or attributes differ";
	bool found = false;
	for (size_t n = range.last + 1; n-- > range.first;) {
		if (states_[n].tree.text != seen.text)
			continue;
		/* Other files may look the same, so the data is compared too. */
		found = true;
		wrong = wrong_content(root, n, range);
		if (wrong.empty())
			return n;
	}
	ktap::fail(__FILE__, __LINE__,
		   "the union to be what it was\n  it is not, " + when + ": " + wrong);
	if (!found)
		report(seen, range);
	throw ktap::Abort{};
}
