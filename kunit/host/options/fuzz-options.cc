// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: the option parser on any bytes. Beside the sanitizers' checks, this checks each law of the syntax
 * that holds for all texts.
 */
#include <stdint.h>
#include <stdlib.h>

#include "model.hh"
#include "options/option_table.hh"

using namespace aufs;
using Size = StringView::Size;

namespace
{

void require(bool law, const char *what)
{
	if (law)
		return;
	fprintf(stderr, "the law is broken: %s\n", what);
	abort();
}

bool within(StringView part, StringView whole)
{
	return part.empty() || (part.begin() >= whole.begin() && part.end() <= whole.end());
}

void check_error(int code, const OptionError &error, StringView text)
{
	char *out = static_cast<char *>(malloc(1 + text.size() % 600));
	Size size = error.describe(out, 1 + text.size() % 600);

	require(code < 0, "an error has a negative errno");
	require(error.text[0], "an error has a text");
	require(within(error.word, text) && within(error.item, text),
		"an error shows what it read");
	require(size <= text.size() % 600 && out[size] == '\0', "a description ends in its buffer");
	for (Size i = 0; i < size; i++)
		require(static_cast<unsigned char>(out[i]) >= ' ', "a description is one line");
	free(out);
}

void check_list(StringView text, Size buffer_size)
{
	char *buffer = static_cast<char *>(malloc(buffer_size));
	BranchList list(text);
	OptionError error;
	unsigned int count = 0;
	bool right = true;

	while (list.more()) {
		Result<BranchItem> item = list.next(buffer, buffer_size, error);

		if (!item.ok()) {
			require(!list.more(), "an error ends a list");
			check_error(item.error(), error, text);
			right = false;
			break;
		}

		StringView path = item.value().path;
		char ignored[100];
		Size said = describe_ignored(item.value(), ignored, sizeof(ignored));

		require((said != 0) == item.value().ignores, "what is ignored is said");
		require(++count <= max_branches, "a mount has no more than its branches");
		require(path.data() == buffer && path.size() && path.size() < buffer_size &&
				path.size() < path_size,
			"a path fits its buffer");
		require(strlen(buffer) == path.size(), "a path ends at its only zero byte");
	}
	free(buffer);
	if (!right || buffer_size < path_size)
		return;

	Text shown = model::canonical(text);

	require(!shown.empty(), "a list that is right can be shown");
	require(model::canonical(shown) == StringView(shown), "what is shown reads the same");
	require(model::canonical(model::unmangle(shown)) == StringView(shown),
		"what is shown reads the same when /proc/mounts was decoded");
}

/* Whether @path is a path at @start, in a buffer that ends at @end. */
bool is_path(StringView path, const char *start, const char *end)
{
	return path.begin() == start && !path.empty() && path.size() < path_size &&
	       path.end() < end && strlen(start) == path.size();
}

/* The size of a buffer for changes that matches @buffer_size for lists: too small, or large enough. */
Size changes_size(Size buffer_size)
{
	return buffer_size < path_size ? buffer_size : BranchChanges::buffer_size;
}

/* Checks @text as the value of the option @key, which changes branches. */
void check_changes(OptionKey key, StringView text, Size buffer_size)
{
	char *buffer = static_cast<char *>(malloc(buffer_size));
	bool list = key == OptionKey::append || key == OptionKey::prepend;
	BranchChanges changes(key, text, static_cast<unsigned int>(text.size() % 3));
	OptionError error;
	unsigned int count = 0;
	bool right = true;

	require(changes.more(), "an option asks for a change");
	while (changes.more()) {
		Result<BranchChange> result = changes.next(buffer, buffer_size, error);

		if (!result.ok()) {
			require(!changes.more(), "an error ends the changes");
			check_error(result.error(), error, text);
			right = false;
			break;
		}

		const BranchChange &change = result.value();
		StringView path = change.branch.path;
		StringView second = change.new_path;

		require(list || !changes.more(), "only lists ask for more than one change");
		require(key != OptionKey::prepend || change.place == count,
			"what comes first is inserted first");
		require(change.place == 0 || change.kind == BranchChange::Kind::insert,
			"what is inserted has a place");
		require(is_path(path, buffer, buffer + buffer_size), "a path fits its buffer");
		require(second.empty() || is_path(second, path.end() + 1, buffer + buffer_size),
			"the new path follows the old one");
		require(within(change.branch.attributes, text), "attributes are as written");
		require(within(change.branch.unknown_perm, text), "permissions are as written");
		count++;
	}
	free(buffer);
	if (!right || buffer_size < BranchChanges::buffer_size)
		return;

	Text shown = model::canonical_changes(key, text);

	require(!shown.empty() && shown[0] != '=', "changes that are right can be shown");
	require(model::canonical_changes(key, shown) == StringView(shown),
		"changes that are shown read the same");
	require(model::canonical_changes(key, model::unmangle(shown)) == StringView(shown),
		"changes that are shown read the same when their escapes were decoded");
}

/* Settings are shown as options that set the same. */
void check_settings(const Settings &settings)
{
	OptionSet set(MountKind::remount);
	Settings again;
	OptionError error;
	char text[128];
	MonolithicOptions options(
		StringView(text, describe_settings(settings, text, sizeof(text))));

	while (options.more()) {
		Result<RawOption> option = options.next(error);

		require(option.ok() && set.accept(option.value(), again, error).ok(),
			"settings are shown as options");
	}
	require(again == settings, "settings are shown as options that set them");
}

/* A first mount and a remount. */
struct Sets {
	OptionSet sets[2] = {OptionSet(MountKind::first), OptionSet(MountKind::remount)};

	OptionSet *begin()
	{
		return sets;
	}
	OptionSet *end()
	{
		return sets + 2;
	}
};

/* Gives @option, a part of @data, to each of @sets. */
void check_option(Sets &sets, const RawOption &option, StringView data, Size buffer_size)
{
	bool done = false;

	for (OptionSet &set : sets) {
		OptionError error;
		Settings settings;
		Result<OptionKey> key = set.accept(option, settings, error);

		if (!key.ok()) {
			check_error(key.error(), error, data);
			require(settings == Settings(), "an error changes nothing");
			continue;
		}
		require(!option.key.empty(), "what has no name is no option");
		/* The meaning of a value is the same for both. */
		if (done)
			continue;
		done = true;
		if (key.value() == OptionKey::branches || key.value() == OptionKey::append) {
			require(option.has_value, "a list is a value");
			check_list(option.value, buffer_size);
		}
		if (changes_branches(key.value()))
			check_changes(key.value(), option.value, changes_size(buffer_size));
		check_settings(settings);
	}
}

void check_end(const OptionSet &set, StringView data)
{
	Settings settings;
	OptionError error;
	char notes[200];
	Size room = 1 + data.size() % sizeof(notes);

	require(set.finish(true, settings, error).ok(),
		"each option is right for what is read-only");
	if (auto finished = set.finish(false, settings, error); !finished.ok())
		require(error.text[0] && error.hint[0],
			"what only read-only mounts do has a reason");

	Size size = set.describe_notes(notes, room);

	require(size < room && notes[size] == '\0', "notes end in their buffer");
	require(room == 1 || (size != 0) == set.has_notes(), "what is noted is said");
}

void check_data(StringView data, Size buffer_size)
{
	MonolithicOptions options(data);
	Sets sets;
	OptionError error;
	const char *end = data.begin();

	while (options.more()) {
		Result<RawOption> option = options.next(error);

		if (!option.ok()) {
			check_error(option.error(), error, data);
			continue;
		}

		StringView key = option.value().key;
		StringView value = option.value().value;

		require(!key.empty() && within(key, data) && within(value, data),
			"an option is a part of the data");
		require(key.begin() >= end, "options do not overlap");
		end = value.empty() ? key.end() : value.end();
		require(key.end() == data.end() || *key.end() == '=' || *key.end() == ':' ||
				*key.end() == ',',
			"a separator follows a key");
		require(option.value().has_value || value.empty(), "no value is an empty value");
		check_option(sets, option.value(), data, buffer_size);
	}
	for (OptionSet &set : sets)
		check_end(set, data);
}

/* fsconfig(2) gives any text as a key. */
void check_key(StringView key)
{
	RawOption option(key);
	Sets sets;

	require(within(option.key, key) && within(option.value, key), "an option is its text");
	check_option(sets, option, key, path_size);
	option.has_value = true;
	check_option(sets, option, key, path_size);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	/* The first byte chooses the size of the buffer: mostly enough, sometimes very small. */
	Size buffer_size = size && bytes[0] >= 0xf0 ? bytes[0] & 15U : path_size;
	StringView text(reinterpret_cast<const char *>(bytes), size);

	check_list(text, buffer_size);
	check_changes(model::change_keys[size % 7], text, changes_size(buffer_size));
	check_data(text, buffer_size);
	check_key(text);
	return 0;
}
