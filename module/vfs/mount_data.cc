// SPDX-License-Identifier: GPL-2.0-only
#include "mount_data.hh"
#include "kernel/messages.hh"
#include "kernel/mount_options.hh"

#include "find_byte.hh"

namespace aufs
{

Result<void> refuse(struct fs_context *fc, const OptionError &error, int code)
{
	char text[400];

	error.describe(text, sizeof(text));
	mount_error(fc, "%s", text);
	return Error{code};
}

namespace
{

/*
 * Calls @visit(byte) for each escaped comma in @text, which ends no option. @comma is the byte that stands for a comma
 * there now.
 */
template <class Visit> void for_each_escaped(char *text, char comma, Visit &&visit)
{
	for (char *at = text; *at; at++) {
		if (*at != '\\' || !at[1])
			continue;
		at++;
		if (*at == comma)
			visit(*at);
	}
}

/*
 * Lets security modules take their options out of @text, which is @given: the values may have commas in quotes. The
 * modules do not know our escaped commas, so another byte stands for those meanwhile.
 */
Result<void> eat_security_options(struct fs_context *fc, char *text, StringView given)
{
	/* As a rule nothing is escaped. */
	if (find_byte(given, 0, '\\') == given.size())
		return eat_options(*fc, text);

	char hidden = '\1';

	while (find_byte(given, 0, hidden) < given.size())
		hidden++;
	if (!hidden)
		return Error{-EINVAL};
	for_each_escaped(text, ',', [hidden](char &byte) { byte = hidden; });

	auto eaten = eat_options(*fc, text);

	for_each_escaped(text, hidden, [](char &byte) { byte = ','; });
	return eaten;
}

} // namespace

Result<void> parse_monolithic(struct fs_context *fc, void *data)
{
	if (!data)
		return {};

	char *text = static_cast<char *>(data);
	StringView given = StringView::from_c_string(text);

	/* mount(2) takes one page and ends it with a zero, whatever was there. */
	if (given.size() >= PAGE_SIZE - 1) {
		mount_error(fc,
			    "the options do not fit into one page and were cut: use fsconfig(2)");
		return Error{-EINVAL};
	}
	TRY(eat_security_options(fc, text, given));

	/* The modules make the text shorter, or leave it as it is. */
	MonolithicOptions options(given.substr(0, find_byte(given, 0, '\0')));

	while (options.more()) {
		OptionError error;
		auto option = options.next(error);

		if (!option.ok())
			return refuse(fc, error, option.error());

		const RawOption &raw = option.value();
		char *key = text + (raw.key.data() - text);

		/* The byte after a key is a separator that was read already. */
		key[raw.key.size()] = '\0';
		TRY(parse_string(*fc, key, raw.has_value ? raw.value.data() : nullptr,
				 raw.has_value ? raw.value.size() : 0));
	}
	return {};
}

} // namespace aufs
