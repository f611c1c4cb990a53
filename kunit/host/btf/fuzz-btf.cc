// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: observers::Btf on any bytes. Beside the sanitizers' checks, this checks each law that holds for all
 * bytes.
 */
#include <errno.h>
#include <stdint.h>

#include "btf-reader.hh"

using cxxrt::Result;
using cxxrt::Span;
using cxxrt::StringView;
using observers::Btf;
using observers::Byte;
using Size = StringView::Size;

namespace
{

/* The most strings of the input that are looked up. */
constexpr Size most_names = 12;
constexpr Size room_of_text = 200;
constexpr Size header_size = 24;
constexpr Size type_size = 12;

void require(bool law, const char *what)
{
	if (law)
		return;
	fprintf(stderr, "the law is broken: %s\n", what);
	abort();
}

void check_error(int error)
{
	require(error == -EINVAL || error == -ENOENT, "an error is one of two");
}

/* The word at @at of the header. */
unsigned int word(StringView data, Size at)
{
	unsigned int value = 0;

	memcpy(&value, data.data() + at, sizeof(value));
	return value;
}

void check_prototype(const BtfReader &a, const BtfReader &b, StringView name)
{
	/* The text from before stays, and none of the appended text is lost. */
	observers::Text text;
	observers::Text again;
	observers::Text more;

	more += "~";

	Result<void> result = a->prototype(name, text);

	require(b->prototype(name, again).error() == result.error(), "the same question");
	require(again.view() == text.view(), "has the same answer");
	require(text.view().size() <= room_of_text, "a text fits");
	if (!result.ok()) {
		check_error(result.error());
		require(result.error() != -ENOENT || text.view().empty(), "nothing is said of it");
		return;
	}
	require(!text.cut() && text.ends_with(')'), "a prototype is whole");
	for (char c : text.view())
		require(c != '\0', "a text has no end within");

	Result<void> appended = a->prototype(name, more);

	require(appended.ok() == (text.view().size() < room_of_text), "more is refused, not cut");
	require(more.view().substr(0, 1) == "~" &&
			(!appended.ok() || more.view().substr(1) == text.view()),
		"a text is appended to");
}

void check_record(const BtfReader &a, const BtfReader &b, StringView record, StringView member,
		  StringView data)
{
	Result<Size> size = a->size_of(record);
	Result<Size> place = a->offset_of(record, member);

	require(b->size_of(record).error() == size.error(), "the same question");
	require(b->offset_of(record, member).error() == place.error(), "the same question");
	if (!size.ok()) {
		check_error(size.error());
		require(size.error() == -ENOENT, "a record that is there has a size");
		require(place.error() == -ENOENT, "what is not there has no members");
		return;
	}
	require(b->size_of(record).value() == size.value(), "has the same answer");
	if (!place.ok()) {
		check_error(place.error());
		return;
	}
	require(b->offset_of(record, member).value() == place.value(), "has the same answer");
	/* Each record within another adds at most 32 bits. */
	require(place.value() <= 64 * (0xffffffffUL / 8 + 1), "a place is a sum of few");
	require(data.size() >= header_size + 2 * type_size, "a member needs some bytes");
}

/* Some of the strings, from the first on, and a name that is nowhere. */
Size find_names(StringView strings, StringView (&names)[most_names])
{
	Size count = 0;

	names[count++] = "no such name";
	for (Size at = 0; at < strings.size() && count < most_names;) {
		StringView name = StringView::from_c_string(strings.data() + at);

		names[count++] = name;
		at += name.size() + 1;
	}
	return count;
}

void check_data(StringView bytes)
{
	Text data = bytes;
	Span<const Byte> span = BtfReader::bytes(data);
	Result<Size> count = Btf::types_in(span);

	if (!count.ok()) {
		require(count.error() == -EINVAL, "what is no BTF is invalid");
		return;
	}
	require(Btf::types_in(span).value() == count.value(), "the same number of types");
	require(data.size() >= header_size, "a header is there");
	require(count.value() * type_size <= word(data, 12), "the types have room");

	StringView names[most_names];
	BtfReader a(data);
	BtfReader b(data);
	Size known = find_names(
		StringView(data).substr(word(data, 4) + word(data, 16), word(data, 20)), names);

	for (Size i = 0; i < known; i++) {
		check_prototype(a, b, names[i]);
		for (Size j = 0; j < known; j++)
			check_record(a, b, names[i], names[j], data);
	}
	require(StringView(data) == bytes, "the data stays as it is");
}

/* Puts a header before @body, which is @types_size bytes of types and then strings. */
Text with_header(StringView body, Size types_size)
{
	unsigned int words[] = {0x0001eb9f,
				24,
				0,
				static_cast<unsigned int>(types_size),
				static_cast<unsigned int>(types_size),
				static_cast<unsigned int>(body.size() - types_size + 1)};
	Text data = StringView(reinterpret_cast<const char *>(words), sizeof(words));

	data += body;
	data += '\0';
	return data;
}

} // namespace

/*
 * The first byte chooses. Either the rest is all of the data. Or it is types and strings, so that the fuzzer need not
 * find lengths; the second byte is the number of bytes of strings.
 */
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	StringView input(reinterpret_cast<const char *>(bytes), size);

	if (size < 2)
		return 0;

	StringView rest = input.substr(2);

	if (bytes[0] % 4 == 0) {
		check_data(rest);
		return 0;
	}

	Size strings_size = bytes[1];
	Size types_size = rest.size() > strings_size ? (rest.size() - strings_size) / 4 * 4 : 0;

	check_data(with_header(rest, types_size));
	return 0;
}
