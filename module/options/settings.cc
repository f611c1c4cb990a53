// SPDX-License-Identifier: GPL-2.0-only
/* The options that are words: their names, and what they set. */
#include "option_table.hh"

namespace aufs
{

using Size = StringView::Size;

namespace
{

struct PolicyName {
	StringView name;
	StringView long_name;
};

/* Each in the order of its type. */
constexpr PolicyName create_names[] = {
	{"tdp", "top-down-parent"}, {"rr", "round-robin"}, {"mfs", "most-free-space"}};
constexpr PolicyName copy_names[] = {
	{"tdp", "top-down-parent"}, {"bup", "bottom-up-parent"}, {"bu", "bottom-up"}};

/* The index of @word in @names, or their count. */
template <unsigned int count>
unsigned int index_of(StringView word, const PolicyName (&names)[count])
{
	unsigned int i = 0;

	while (i < count && names[i].name != word && names[i].long_name != word)
		i++;
	return i;
}

/* A number of up to nine digits and nothing else. */
bool parse_number(StringView text, unsigned int &number)
{
	if (text.empty() || text.size() > 9)
		return false;
	number = 0;
	for (char c : text) {
		if (c < '0' || c > '9')
			return false;
		number = number * 10 + static_cast<unsigned int>(c - '0');
	}
	return true;
}

Result<void> set_create(Settings &settings, StringView value, OptionError &error)
{
	Size colon = 0;

	while (colon < value.size() && value[colon] != ':')
		colon++;

	StringView name = value.substr(0, colon);
	unsigned int index = index_of(name, create_names);
	unsigned int seconds = Settings::default_seconds;
	bool has_seconds = colon < value.size();

	if (index == sizeof(create_names) / sizeof(create_names[0]) ||
	    (has_seconds && static_cast<CreatePolicy>(index) != CreatePolicy::mfs))
		return refuse(error, {.text = "unknown create policy",
				      .word = value,
				      .hint = "known are tdp, rr, mfs, mfs:SECONDS"});
	if (has_seconds && !parse_number(value.substr(colon + 1), seconds))
		return refuse(error, {.text = "no number of seconds",
				      .word = value.substr(colon + 1),
				      .item = value});
	settings.create = static_cast<CreatePolicy>(index);
	settings.mfs_seconds = seconds;
	return {};
}

Result<void> set_copy_up(Settings &settings, StringView value, OptionError &error)
{
	unsigned int index = index_of(value, copy_names);

	if (index == sizeof(copy_names) / sizeof(copy_names[0]))
		return refuse(error, {.text = "unknown copy-up policy",
				      .word = value,
				      .hint = "known are tdp, bup, bu"});
	settings.copy_up = static_cast<CopyPolicy>(index);
	return {};
}

} // namespace

StringView copy_on_open_name(CopyOnOpen what)
{
	switch (what) {
	case CopyOnOpen::regular:
		return "+coo_reg";
	case CopyOnOpen::all:
		return "+coo_all";
	case CopyOnOpen::nothing:
		break;
	}
	return {};
}

StringView create_policy_name(CreatePolicy policy)
{
	return create_names[static_cast<unsigned char>(policy)].name;
}

StringView copy_policy_name(CopyPolicy policy)
{
	return copy_names[static_cast<unsigned char>(policy)].name;
}

Result<void> apply(Settings &settings, OptionKey key, StringView value, OptionError &error)
{
	switch (key) {
	case OptionKey::create:
		return set_create(settings, value, error);
	case OptionKey::copy_up:
		return set_copy_up(settings, value, error);
	case OptionKey::sum:
		settings.sum = true;
		break;
	case OptionKey::nosum:
		settings.sum = false;
		break;
	case OptionKey::share_rw:
		settings.share_rw = true;
		break;
	case OptionKey::nothing:
	case OptionKey::branches:
	case OptionKey::append:
		break;
	}
	return {};
}

} // namespace aufs
