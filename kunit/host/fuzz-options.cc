// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: the option parser on any bytes. Besides what the sanitizers see, each law of
 * the syntax that holds for every text is checked here.
 */
#include <initializer_list>
#include <stdint.h>
#include <stdlib.h>

#include "model.hh"

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

bool has_list(OptionKey key)
{
	return key == OptionKey::branches || key == OptionKey::append;
}

/* What was set is shown by a name that sets the same. */
void check_setting(OptionKey key, StringView value, StringView data)
{
	Settings settings;
	OptionError error;

	if (auto result = apply(settings, key, value, error); !result.ok()) {
		check_error(result.error(), error, data);
		require(settings == Settings(), "an error changes nothing");
		return;
	}

	Settings again = settings;
	StringView name = key == OptionKey::create ? create_policy_name(settings.create) :
						     copy_policy_name(settings.copy_up);

	if (key == OptionKey::create || key == OptionKey::copy_up) {
		require(apply(again, key, name, error).ok(), "a policy's name is a policy");
		again.mfs_seconds = settings.mfs_seconds;
	}
	require(again == settings, "a policy's name is that policy");
}

void check_data(StringView data, Size buffer_size)
{
	MonolithicOptions options(data);
	OptionSet set;
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

		Result<OptionUse> use = set.accept(key, option.value().has_value, error);

		if (!use.ok())
			check_error(use.error(), error, data);
		else if (has_list(use.value().key))
			check_list(value, buffer_size);
		else
			check_setting(use.value().key, value, data);
	}
}

/* fsconfig(2) gives any text as a key. */
void check_key(StringView key)
{
	for (bool has_value : {false, true}) {
		OptionSet set;
		OptionError error;
		Result<OptionUse> use = set.accept(key, has_value, error);

		if (!use.ok()) {
			check_error(use.error(), error, key);
			continue;
		}
		require(has_value || !use.value().head.empty() || !has_list(use.value().key),
			"an option has a list somewhere");
		require(within(use.value().head, key), "the head of a list is a part of the key");
	}
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	/* The first byte chooses the size of the buffer: mostly enough, sometimes very small. */
	Size buffer_size = size && bytes[0] >= 0xf0 ? bytes[0] & 15U : path_size;
	StringView text(reinterpret_cast<const char *>(bytes), size);

	check_list(text, buffer_size);
	check_data(text, buffer_size);
	check_key(text);
	return 0;
}
