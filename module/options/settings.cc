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
	bool watermark;
	bool seconds;
};

/* Each in the order of its type. */
constexpr PolicyName create_names[] = {
	{"tdp", "top-down-parent", false, false},
	{"rr", "round-robin", false, false},
	{"mfs", "most-free-space", false, true},
	{"mfsrr", {}, true, true},
	{"pmfs", {}, false, true},
	{"pmfsrr", {}, true, true},
	{"tdmfs", {}, true, true},
};
constexpr PolicyName copy_names[] = {
	{"tdp", "top-down-parent", false, false},
	{"bup", "bottom-up-parent", false, false},
	{"bu", "bottom-up", false, false},
};

/* The index of @word in @names, or their count. */
template <unsigned int count>
unsigned int index_of(StringView word, const PolicyName (&names)[count])
{
	unsigned int i = 0;

	while (i < count && names[i].name != word &&
	       (names[i].long_name.empty() || names[i].long_name != word))
		i++;
	return i;
}

/* What stands before the next `:` of @text, which loses both. */
StringView take_field(StringView &text)
{
	Size end = 0;

	while (end < text.size() && text[end] != ':')
		end++;

	StringView field = text.substr(0, end);

	text = text.substr(end < text.size() ? end + 1 : end);
	return field;
}

/* A number of up to @most digits and nothing else. */
template <class T> bool parse_number(StringView text, Size most, T &number)
{
	if (text.empty() || text.size() > most)
		return false;
	number = 0;
	for (char c : text) {
		if (c < '0' || c > '9')
			return false;
		number = number * 10 + static_cast<T>(c - '0');
	}
	return true;
}

Result<void> set_create(Settings &settings, StringView value, OptionError &error)
{
	Size fields = 1;

	for (char c : value)
		fields += c == ':';

	StringView rest = value;
	unsigned int index = index_of(take_field(rest), create_names);
	bool known = index < sizeof(create_names) / sizeof(create_names[0]);
	/* An empty row where it is not known. */
	PolicyName policy = known ? create_names[index] : PolicyName();
	unsigned long long watermark = 0;
	unsigned int seconds = Settings::default_seconds;

	if (!known || fields > 1U + policy.watermark + policy.seconds)
		return refuse(error, {.text = "unknown create policy",
				      .word = value,
				      .known = "tdp, rr, mfs[:SECONDS], mfsrr:BYTES[:SECONDS], "
					       "pmfs[:SECONDS], pmfsrr:BYTES[:SECONDS], "
					       "tdmfs:BYTES[:SECONDS]"});
	if (policy.watermark) {
		StringView bytes = take_field(rest);

		fields--;
		if (!parse_number(bytes, 18, watermark))
			return refuse(error,
				      {.text = "no number of bytes", .word = bytes, .item = value});
	}
	if (fields > 1 && !parse_number(rest, 9, seconds))
		return refuse(error, {.text = "no number of seconds", .word = rest, .item = value});
	settings.create = static_cast<CreatePolicy>(index);
	settings.mfs_seconds = seconds;
	settings.watermark = watermark;
	return {};
}

Result<void> set_copy_up(Settings &settings, StringView value, OptionError &error)
{
	unsigned int index = index_of(value, copy_names);

	if (index == sizeof(copy_names) / sizeof(copy_names[0]))
		return refuse(error, {.text = "unknown copy-up policy",
				      .word = value,
				      .known = "tdp, bup, bu"});
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

bool has_watermark(CreatePolicy policy)
{
	return create_names[static_cast<unsigned char>(policy)].watermark;
}

bool has_seconds(CreatePolicy policy)
{
	return create_names[static_cast<unsigned char>(policy)].seconds;
}

StringView copy_policy_name(CopyPolicy policy)
{
	return copy_names[static_cast<unsigned char>(policy)].name;
}

namespace
{

/* Of one of the words that the table has. */
Udba udba_of(StringView word)
{
	if (word == "none")
		return Udba::none;
	return word == "reval" ? Udba::reval : Udba::notify;
}

} // namespace

StringView udba_name(Udba udba)
{
	switch (udba) {
	case Udba::reval:
		return "reval";
	case Udba::notify:
		return "notify";
	case Udba::none:
		break;
	}
	return "none";
}

Result<void> apply(Settings &settings, OptionKey key, StringView value, OptionError &error)
{
	switch (key) {
	case OptionKey::create:
		return set_create(settings, value, error);
	case OptionKey::copy_up:
		return set_copy_up(settings, value, error);
	case OptionKey::sum:
		settings.sum = Sum::all;
		break;
	case OptionKey::nosum:
		settings.sum = Sum::none;
		break;
	case OptionKey::wsum:
		settings.sum = Sum::writable;
		break;
	case OptionKey::diropq:
		settings.always_opaque = value == "a" || value == "always";
		break;
	case OptionKey::shwh:
		settings.show_whiteouts = true;
		break;
	case OptionKey::noshwh:
		settings.show_whiteouts = false;
		break;
	case OptionKey::share_rw:
		settings.share_rw = true;
		break;
	case OptionKey::udba:
		settings.udba = udba_of(value);
		break;
	case OptionKey::nothing:
	case OptionKey::branches:
	case OptionKey::append:
	case OptionKey::add:
	case OptionKey::prepend:
	case OptionKey::del:
	case OptionKey::detach:
	case OptionKey::mod:
	case OptionKey::replace:
		break;
	}
	return {};
}

} // namespace aufs
