// SPDX-License-Identifier: GPL-2.0-only
/* Which bytes observers::Btf takes for BTF, and how it finds the parts. */
#include <errno.h>

#include "btf-builder.hh"
#include "btf-reader.hh"
#include "check.hh"

using btf::Builder;
using btf::Kind;
using btf::Word;
using cxxrt::StringView;

namespace
{

/* @data with another word at @at. */
Text damaged(StringView data, StringView::Size at, Word word)
{
	Text text = data.substr(0, at);

	text += StringView(reinterpret_cast<const char *>(&word), sizeof(word));
	text += data.substr(at + sizeof(word));
	return text;
}

/* The offsets of the fields in the header. */
constexpr StringView::Size magic_at = 0;
constexpr StringView::Size header_size_at = 4;
constexpr StringView::Size types_at = 8;
constexpr StringView::Size types_size_at = 12;
constexpr StringView::Size strings_at = 16;
constexpr StringView::Size strings_size_at = 20;

} // namespace

TEST(all_kinds)
{
	Builder b;

	b.add_all_kinds();
	b.structure("behind", {{"second", 1, 24}});

	BtfReader reader(b.data());

	EXPECT_EQ(reader.count(), 20);
	EXPECT_EQ(StringView(reader.prototype("call")), StringView("int (int *, ...)"));
	EXPECT_EQ(reader.size_of("pair"), 8);
	EXPECT_EQ(reader.offset_of("pair", "two"), 4);
	EXPECT_EQ(reader.size_of("either"), -ENOENT);
	EXPECT_EQ(reader.offset_of("behind", "second"), 3);
}

TEST(kinds_without_parts)
{
	for (Kind kind : {Kind::structure, Kind::union_of, Kind::enumeration, Kind::prototype,
			  Kind::section, Kind::enumeration64}) {
		Builder b;

		b.add(kind, "", 0);
		b.structure("behind", {});
		EXPECT_EQ(BtfReader(b.data()).size_of("behind"), 64);
	}
}

TEST(unknown_kinds)
{
	for (Word kind = 0; kind < 32; kind++) {
		Builder b;

		if (kind != 0 && kind <= 19)
			continue;
		b.add(static_cast<Kind>(kind), "", 0);
		EXPECT_EQ(BtfReader::count(b.data()), -EINVAL);
	}
}

/* The types end within any type. */
TEST(types_cut)
{
	Builder b;

	b.add_all_kinds();

	Text data = b.data();
	Word good = 0;

	for (Word size = 0; size <= b.types_size(); size++)
		good += BtfReader::count(damaged(data, types_size_at, size)) >= 0;
	EXPECT_EQ(good, 20U);
	for (Word more : {1U, 4U, 11U, 0x10000U, 0xffffffffU - b.types_size()})
		EXPECT_EQ(BtfReader::count(damaged(data, types_size_at, b.types_size() + more)),
			  -EINVAL);
	EXPECT_EQ(BtfReader(damaged(data, types_size_at, 0)).count(), 0);
	EXPECT_EQ(BtfReader(damaged(data, types_size_at, 0)).size_of("pair"), -ENOENT);
}

/* The file ends after any of its bytes. */
TEST(file_cut)
{
	Builder b;

	b.add_all_kinds();

	Text data = b.data();

	EXPECT_EQ(BtfReader::count(data), 19);
	EXPECT_EQ(BtfReader::count(data + "more"), 19);
	for (StringView::Size size = 0; size < data.size(); size++)
		EXPECT_EQ(BtfReader::count(Text(StringView(data).substr(0, size))), -EINVAL);
}

TEST(headers)
{
	Builder b;

	b.add_all_kinds();

	Text data = b.data();
	struct {
		StringView::Size at;
		Word word;
	} bad[] = {
		{magic_at, 0x0001eb9e},
		{magic_at, 0x00019feb},
		{magic_at, 0x0000eb9f},
		{magic_at, 0x0002eb9f},
		{header_size_at, 0},
		{header_size_at, 20},
		{header_size_at, 23},
		{header_size_at, 26},
		{header_size_at, 28},
		{header_size_at, 0xfffffffc},
		{types_at, 1},
		{types_at, 2},
		{types_at, b.strings_size() / 4 * 4 + 4},
		{types_at, 0xffffffe8},
		{types_at, 0xfffffffc},
		{strings_at, b.types_size() + 1},
		{strings_at, 0xffffffe8},
		{strings_at, 0xffffffff},
		{strings_size_at, 0},
		{strings_size_at, b.strings_size() - 1},
		{strings_size_at, b.strings_size() + 1},
		{strings_size_at, 0xffffffff},
		{strings_size_at, 0xffffffff - b.types_size() - 23},
	};

	for (const auto &field : bad) {
		if (BtfReader::count(damaged(data, field.at, field.word)) == -EINVAL)
			continue;
		check::fail(__FILE_NAME__, __LINE__, "this is refused");
		check::show("at", static_cast<long long>(field.at));
		check::show("word", static_cast<long long>(field.word));
	}
	/* Flags have no meaning yet. */
	EXPECT_EQ(BtfReader::count(damaged(data, magic_at, 0xff01eb9f)), 19);
	/* A file of 2 GiB, whose offsets would not fit; only its head is looked at. */
	EXPECT_EQ(BtfReader::count(StringView(StringView(data).data(), 1UL << 31)), -EINVAL);
}

/* Types and strings may be anywhere. */
TEST(places_of_the_parts)
{
	Builder b;

	b.add_all_kinds();

	Word strings_end = (b.strings_size() + 3) / 4 * 4;

	for (const Text &data : {b.data(24, 0, b.types_size() + 7), b.data(32, 0, b.types_size()),
				 b.data(24, 8, b.types_size() + 8), b.data(24, strings_end, 0),
				 b.data(28, strings_end + 12, 3)}) {
		BtfReader reader(data);

		EXPECT_EQ(reader.count(), 19);
		EXPECT_EQ(StringView(reader.prototype("call")), StringView("int (int *, ...)"));
		EXPECT_EQ(reader.offset_of("pair", "two"), 4);
	}
}

/* Only the header of these is wrong. */
TEST(headers_of_nothing)
{
	Text data = Builder().data() + Text(16, '\0');

	EXPECT_EQ(BtfReader::count(data), 0);
	for (StringView::Size at : {header_size_at, types_at}) {
		Word right = at == header_size_at ? 24 : 0;

		EXPECT_EQ(BtfReader::count(damaged(data, at, right + 4)), 0);
		for (Word off : {1U, 2U, 3U})
			EXPECT_EQ(BtfReader::count(damaged(data, at, right + off)), -EINVAL);
	}
	EXPECT_EQ(BtfReader::count(damaged(damaged(data, header_size_at, 20), strings_at, 4)),
		  -EINVAL);
	EXPECT_EQ(BtfReader::count(damaged(data, strings_at, 4)), 0);
	EXPECT_EQ(BtfReader::count(damaged(data, strings_size_at, 17)), 0);
	EXPECT_EQ(BtfReader::count(damaged(data, strings_size_at, 18)), -EINVAL);
	EXPECT_EQ(BtfReader::count(damaged(data, types_at, 16)), 0);
	EXPECT_EQ(BtfReader::count(damaged(data, types_at, 20)), -EINVAL);
}

TEST(strings)
{
	Builder b;
	Word name = b.string("name");

	b.function("f", 0, {b.pointer(b.structure("", {{"member", 0, 64}}))});

	Text data = b.data();
	StringView::Size record_at = Builder::header_size;
	StringView::Size member_at = record_at + 12;

	for (Word tail : {0U, 1U, 4U}) {
		Text renamed = damaged(data, record_at, name + tail);
		Text expected = "void (struct " + Text(StringView("name").substr(tail)) + " *)";

		EXPECT_EQ(StringView(BtfReader(renamed).prototype("f")), StringView(expected));
	}
	/* The zero at the end of all strings, and offsets behind it, which are no names. */
	for (Word offset : {b.strings_size() - 1, b.strings_size(), 0x7fffffffU, 0xffffffffU}) {
		EXPECT_EQ(StringView(BtfReader(damaged(data, record_at, offset)).prototype("f")),
			  StringView("void (struct  *)"));
		EXPECT_EQ(BtfReader(damaged(damaged(data, member_at, offset), record_at, name))
				  .offset_of("name", "member"),
			  -ENOENT);
	}
	EXPECT_EQ(BtfReader(damaged(data, record_at, name)).offset_of("name", "member"), 8);
	EXPECT_EQ(BtfReader::count(Text(StringView(data).substr(0, data.size() - 1)) + "x"),
		  -EINVAL);
}
