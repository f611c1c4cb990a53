// SPDX-License-Identifier: GPL-2.0-only
/* The options whose values are words: the words, and the settings that they stand for. */
#include "settings.hh"

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

/* Each table is in the order of its enumeration. */
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

/* Takes the field before the next `:` off @text, with the `:`. */
StringView take_field(StringView &text)
{
	Size end = 0;

	while (end < text.size() && text[end] != ':')
		end++;

	StringView field = text.substr(0, end);

	text = text.substr(end < text.size() ? end + 1 : end);
	return field;
}

/* Reads a number of up to @most digits and nothing else. */
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

} // namespace

Result<void> set_create(Settings &settings, StringView value, OptionError &error)
{
	Size fields = 1;

	for (char c : value)
		fields += c == ':';

	StringView rest = value;
	unsigned int index = index_of(take_field(rest), create_names);
	bool known = index < sizeof(create_names) / sizeof(create_names[0]);
	/* The row is empty if the policy is not known. */
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

namespace
{

void put_option(TextWriter &out, StringView name, StringView value)
{
	out.put(',');
	out.put(name);
	out.put('=');
	out.put(value);
}

void put_number(TextWriter &out, unsigned long long number)
{
	char digits[20]; /* 64 bits have no more */
	Size first = sizeof(digits);

	do
		digits[--first] = static_cast<char>('0' + number % 10);
	while (number /= 10);
	out.put(StringView(digits + first, sizeof(digits) - first));
}

} // namespace

void show_create(const Settings &settings, StringView name, TextWriter &out)
{
	if (settings.create == CreatePolicy::tdp)
		return;
	put_option(out, name, create_policy_name(settings.create));
	if (has_watermark(settings.create)) {
		out.put(':');
		put_number(out, settings.watermark);
	}
	if (has_seconds(settings.create) && settings.mfs_seconds != Settings::default_seconds) {
		out.put(':');
		put_number(out, settings.mfs_seconds);
	}
}

void show_copy_up(const Settings &settings, StringView name, TextWriter &out)
{
	if (settings.copy_up != CopyPolicy::tdp)
		put_option(out, name, copy_policy_name(settings.copy_up));
}

Result<void> set_diropq(Settings &settings, StringView value, OptionError &)
{
	settings.always_opaque = value == "a" || value == "always";
	return {};
}

void show_diropq(const Settings &settings, StringView name, TextWriter &out)
{
	if (settings.always_opaque)
		put_option(out, name, "a");
}

Result<void> set_udba(Settings &settings, StringView value, OptionError &)
{
	if (value == "none")
		settings.udba = Udba::none;
	else
		settings.udba = value == "reval" ? Udba::reval : Udba::notify;
	return {};
}

void show_udba(const Settings &settings, StringView name, TextWriter &out)
{
	if (settings.udba != Udba::none)
		put_option(out, name, udba_name(settings.udba));
}

} // namespace aufs
