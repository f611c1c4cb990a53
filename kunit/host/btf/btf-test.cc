// SPDX-License-Identifier: GPL-2.0-only
/* The answers of observers::Btf for BTF made by hand. Damaged BTF is in btf-data-test.cc. */
#include <errno.h>

#include "btf-builder.hh"
#include "btf-reader.hh"
#include "check.hh"

using btf::Builder;
using btf::Id;
using btf::Kind;
using btf::Word;
using cxxrt::StringView;

namespace
{

void expect_prototype(int line, const Builder &builder, const char *name, StringView expected)
{
	check::equal(
		__FILE_NAME__, line, "this prototype",
		StringView(BtfReader(builder.data()).prototype(StringView::from_c_string(name))),
		expected);
}

} // namespace

#define EXPECT_PROTOTYPE(builder, name, expected)                                                  \
	expect_prototype(__LINE__, builder, name, expected)

TEST(prototypes)
{
	Builder b;
	Id integer = b.integer("int");
	Id letter = b.integer("char");
	Id inode = b.pointer(b.structure("inode", {}));
	Id file = b.pointer(b.add(Kind::forward, "file", 0));

	b.function("nothing", 0, {});
	EXPECT_PROTOTYPE(b, "nothing", "void ()");
	b.function("open", integer, {inode, file});
	EXPECT_PROTOTYPE(b, "open", "int (struct inode *, struct file *)");
	b.function("one", integer, {letter});
	EXPECT_PROTOTYPE(b, "one", "int (char)");
	b.function("path", b.pointer(letter), {file, b.pointer(letter), integer});
	EXPECT_PROTOTYPE(b, "path", "char *(struct file *, char *, int)");
	b.function("print", 0, {b.pointer(letter), b.integer("long unsigned int")});
	EXPECT_PROTOTYPE(b, "print", "void (char *, long unsigned int)");
	b.function("more", integer, {letter, 0});
	EXPECT_PROTOTYPE(b, "more", "int (char, ...)");
	b.function("only_more", integer, {0});
	EXPECT_PROTOTYPE(b, "only_more", "int (...)");
	b.function("call", 0, {b.pointer(b.prototype(integer, {letter}))});
	EXPECT_PROTOTYPE(b, "call", "void (function *)");
	b.function("named", b.pointer(b.add(Kind::prototype, "name", integer)), {});
	EXPECT_PROTOTYPE(b, "named", "function *()");
	b.function("pointers", b.pointer(b.pointer(0)), {b.pointer(b.pointer(inode)), integer});
	EXPECT_PROTOTYPE(b, "pointers", "void **(struct inode ***, int)");
}

TEST(qualifiers)
{
	Builder b;
	Id letter = b.integer("char");
	Id constant = b.refer(Kind::const_of, letter);

	b.function("const_pointer", b.pointer(constant), {b.pointer(b.refer(Kind::const_of, 0))});
	EXPECT_PROTOTYPE(b, "const_pointer", "const char *(const void *)");
	b.function("const_value", constant, {constant});
	EXPECT_PROTOTYPE(b, "const_value", "const char (const char)");
	/* The place of a const does not matter to a caller. */
	b.function("pointer_const", 0, {b.refer(Kind::const_of, b.pointer(letter))});
	EXPECT_PROTOTYPE(b, "pointer_const", "void (const char *)");
	b.function("twice", 0, {b.pointer(b.refer(Kind::const_of, b.pointer(constant))), letter});
	EXPECT_PROTOTYPE(b, "twice", "void (const char **, char)");
	for (Kind kind : {Kind::volatile_of, Kind::restrict_of, Kind::type_tag}) {
		Builder others;
		Id more = others.refer(kind, others.integer("char"), "user");

		others.function("f", more, {others.pointer(more), others.refer(kind, 0)});
		EXPECT_PROTOTYPE(others, "f", "char (char *, void)");
	}
}

TEST(names_of_types)
{
	Builder b;
	Id integer = b.integer("int");

	b.function("records", b.record(Kind::union_of, "u", 4, {}), {b.structure("s", {})});
	EXPECT_PROTOTYPE(b, "records", "union u (struct s)");
	b.function("enums", b.add(Kind::enumeration, "e", 4),
		   {b.add(Kind::enumeration64, "e64", 8), b.add(Kind::floating, "double", 8)});
	EXPECT_PROTOTYPE(b, "enums", "enum e (enum e64, double)");
	b.function("forward", 0,
		   {b.add(Kind::forward, "f", 0), b.add(Kind::forward, "g", 0, {}, 0, true)});
	EXPECT_PROTOTYPE(b, "forward", "void (struct f, union g)");
	/* An alias is shown by its name, as in the source. */
	b.function("alias", b.refer(Kind::alias, b.refer(Kind::alias, integer, "u32"), "size_t"),
		   {b.pointer(b.refer(Kind::alias, b.pointer(integer), "handle"))});
	EXPECT_PROTOTYPE(b, "alias", "size_t (handle *)");
	b.function("no_name", b.pointer(b.add(Kind::array, "", 0, {integer, integer, 3})),
		   {b.pointer(b.structure("", {}))});
	EXPECT_PROTOTYPE(b, "no_name", " *(struct  *)");
}

TEST(functions_by_name)
{
	Builder b;
	Id integer = b.integer("int");

	EXPECT_PROTOTYPE(b, "f", "-2");
	b.structure("f", {});
	b.add(Kind::variable, "f", integer, {0});
	b.function("f_longer", 0, {integer});
	b.function("prefix_f", 0, {integer});
	EXPECT_PROTOTYPE(b, "f", "-2");
	b.function("f", integer, {});
	b.function("f", 0, {});
	EXPECT_PROTOTYPE(b, "f", "int ()");
	EXPECT_PROTOTYPE(b, "f_longer", "void (int)");
}

TEST(functions_that_cannot_be)
{
	Builder b;
	Id integer = b.integer("int");
	Id outside = 1000;

	b.refer(Kind::function, integer, "no_prototype");
	EXPECT_PROTOTYPE(b, "no_prototype", "-22");
	b.refer(Kind::function, b.record(Kind::structure, "empty", 0, {}), "record");
	EXPECT_PROTOTYPE(b, "record", "-22");
	b.refer(Kind::function, 0, "void");
	EXPECT_PROTOTYPE(b, "void", "-22");
	b.refer(Kind::function, outside, "outside");
	EXPECT_PROTOTYPE(b, "outside", "-22");
	b.refer(Kind::function, 0xffffffff, "far_outside");
	EXPECT_PROTOTYPE(b, "far_outside", "-22");
	b.function("result", outside, {});
	EXPECT_PROTOTYPE(b, "result", "-22");
	b.function("parameter", 0, {integer, outside, integer});
	EXPECT_PROTOTYPE(b, "parameter", "-22");
	b.function("pointer", 0, {b.pointer(b.refer(Kind::const_of, outside))});
	EXPECT_PROTOTYPE(b, "pointer", "-22");
	b.function("two_pointers", b.pointer(b.pointer(outside)), {});
	EXPECT_PROTOTYPE(b, "two_pointers", "-22");
	/* The number of the last type, and the first number that no type has. */
	b.function("next", b.next() + 2, {});
	EXPECT_PROTOTYPE(b, "next", "-22");
	b.integer("last");
	EXPECT_PROTOTYPE(b, "next", "last ()");
}

TEST(loops)
{
	Builder b;

	b.function("const_loop", b.next() + 2, {});
	b.refer(Kind::const_of, b.next());
	EXPECT_PROTOTYPE(b, "const_loop", "-22");
	b.function("pointer_loop", 0, {b.next() + 2});
	b.pointer(b.next() + 1);
	b.pointer(b.next() - 1);
	EXPECT_PROTOTYPE(b, "pointer_loop", "-22");
}

TEST(depth)
{
	Builder b;
	Id type = b.integer("int");

	for (int i = 0; i < 16; i++)
		type = b.pointer(type);
	b.function("deep", type, {});
	EXPECT_PROTOTYPE(b, "deep", "int ****************()");
	b.function("too_deep", b.refer(Kind::volatile_of, type), {});
	EXPECT_PROTOTYPE(b, "too_deep", "-22");
}

TEST(text)
{
	observers::Text text;

	EXPECT(!text.ends_with('a'));
	text += "ab";
	EXPECT(text.ends_with('b') && !text.ends_with('a'));
	text += StringView();
	EXPECT_EQ(text.view(), StringView("ab"));
	text += Text(198, 'c');
	EXPECT_EQ(text.view(), StringView("ab" + Text(198, 'c')));
	EXPECT(!text.cut());
	text += "";
	EXPECT(!text.cut());
	text += "d";
	EXPECT(text.cut());
	text += "";
	EXPECT(text.cut());
	EXPECT_EQ(text.view(), StringView("ab" + Text(198, 'c')));

	observers::Text long_one;

	long_one += Text(300, 'x');
	EXPECT(long_one.cut());
	EXPECT_EQ(long_one.view(), StringView(Text(200, 'x')));
}

/* "int (struct xxx)" of 200 bytes is the longest one. */
TEST(long_prototypes)
{
	for (unsigned int length : {199U, 200U, 201U, 1000U}) {
		Builder b;
		Text name(length - StringView("int (struct )").size(), 'x');
		Text terminated = name + Text(1, '\0');

		b.function("f", b.integer("int"), {b.structure(StringView(terminated).data(), {})});
		EXPECT_PROTOTYPE(b, "f",
				 length <= 200 ? Text("int (struct " + name + ")") : Text("-22"));
	}
}

TEST(members)
{
	Builder b;
	Id integer = b.integer("int");
	Id named = b.structure("named", {{"hidden", integer, 0}, {"shown", integer, 32}});

	b.record(Kind::union_of, "outer", 4, {{"first", integer, 8}});
	b.structure("outer_more", {{"first", integer, 16}});
	b.record(Kind::structure, "outer", 0x12345678,
		 {{"first", integer, 0},
		  {"second", named, 32},
		  {"shown", integer, 96},
		  {"shown_more", integer, 128},
		  {"far", integer, 0xfffffff8}});
	b.record(Kind::structure, "outer", 4, {{"again", integer, 8}});

	BtfReader reader(b.data());

	EXPECT_EQ(reader.offset_of("outer", "first"), 0);
	EXPECT_EQ(reader.offset_of("outer", "second"), 4);
	EXPECT_EQ(reader.offset_of("outer", "shown"), 12);
	EXPECT_EQ(reader.offset_of("outer", "shown_more"), 16);
	EXPECT_EQ(reader.offset_of("outer", "far"), 0x1fffffff);
	EXPECT_EQ(reader.offset_of("outer", "hidden"), -ENOENT);
	EXPECT_EQ(reader.offset_of("outer", "again"), -ENOENT);
	EXPECT_EQ(reader.offset_of("oute", "first"), -ENOENT);
	EXPECT_EQ(reader.offset_of("int", "first"), -ENOENT);
	EXPECT_EQ(reader.size_of("outer"), 0x12345678);
	EXPECT_EQ(reader.size_of("named"), 64);
	EXPECT_EQ(reader.size_of("oute"), -ENOENT);
	EXPECT_EQ(reader.size_of("int"), -ENOENT);
}

TEST(many_members)
{
	Builder b;

	b.add(Kind::structure, "large", 0, {}, 1000);
	for (Word i = 1; i < 1000; i++)
		b.append({0, 0, i * 64});
	b.append({b.string("last"), 0, 1000 * 64});
	EXPECT_EQ(BtfReader(b.data()).offset_of("large", "last"), 1000 * 8);
}

TEST(members_without_a_name)
{
	Builder b;
	Id integer = b.integer("int");
	Id deepest = b.structure("", {{"deepest", integer, 64}, {"both", integer, 0}});
	Id either = b.record(Kind::union_of, "", 8,
			     {{"this", integer, 0}, {"that", integer, 32}, {"", deepest, 96}});
	Id pointer = b.pointer(b.structure("", {{"elsewhere", integer, 0}}));
	Id choice = b.add(Kind::enumeration64, "", 8, {b.string("constant"), 0, 0}, 1);

	b.structure("outer", {{"first", integer, 0},
			      {"", either, 128},
			      {"", integer, 136},
			      {"", pointer, 192},
			      {"", choice, 192},
			      {"", 0, 0},
			      {"", 1000, 0},
			      {"", deepest, 256},
			      {"last", integer, 512}});

	BtfReader reader(b.data());

	EXPECT_EQ(reader.offset_of("outer", "this"), 16);
	EXPECT_EQ(reader.offset_of("outer", "that"), 20);
	EXPECT_EQ(reader.offset_of("outer", "last"), 64);
	/* The first place with this name among the least deep ones. */
	EXPECT_EQ(reader.offset_of("outer", "both"), 32);
	EXPECT_EQ(reader.offset_of("outer", "deepest"), 40);
	EXPECT_EQ(reader.offset_of("outer", "elsewhere"), -ENOENT);
	EXPECT_EQ(reader.offset_of("outer", "constant"), -ENOENT);
}

/* As in vm_fault: the fields in "const struct { ... };" are members. */
TEST(qualified_members_without_a_name)
{
	for (Kind kind : {Kind::const_of, Kind::volatile_of, Kind::restrict_of, Kind::type_tag}) {
		Builder b;
		Id inner = b.refer(kind, b.structure("", {{"inner", 0, 16}}));

		b.structure("outer", {{"", inner, 64}, {"", b.pointer(inner), 0}});
		b.structure("alias", {{"", b.refer(Kind::alias, inner, "alias"), 0}});

		BtfReader reader(b.data());

		EXPECT_EQ(reader.offset_of("outer", "inner"), 10);
		EXPECT_EQ(reader.offset_of("alias", "inner"), -ENOENT);
	}

	Builder b;
	Id type = b.structure("", {{"inner", 0, 0}});

	for (int i = 0; i < 16; i++)
		type = b.refer(Kind::const_of, type);
	b.structure("deep", {{"", type, 0}});
	b.structure("too_deep", {{"", b.refer(Kind::const_of, type), 0}});
	b.structure("loop", {{"", b.refer(Kind::const_of, b.next()), 0}});
	b.structure("outside", {{"", b.refer(Kind::const_of, 1000), 0}});

	BtfReader reader(b.data());

	EXPECT_EQ(reader.offset_of("deep", "inner"), 0);
	EXPECT_EQ(reader.offset_of("too_deep", "inner"), -ENOENT);
	EXPECT_EQ(reader.offset_of("loop", "inner"), -ENOENT);
	EXPECT_EQ(reader.offset_of("outside", "inner"), -ENOENT);
}

TEST(bitfields)
{
	Builder b;
	Id integer = b.integer("int");
	Id flags = b.record(Kind::structure, "", 4,
			    {{"low", integer, 8U << 24 | 8}, {"odd", integer, 1U << 24 | 17}},
			    true);
	Id plain = b.structure("", {{"far", integer, 0x01000000}});

	b.record(Kind::structure, "outer", 4,
		 {{"", flags, 32},
		  {"", plain, 64},
		  {"whole", integer, 0x00000018},
		  {"eight", integer, 8U << 24 | 0xfffff8},
		  {"bit", integer, 1U << 24 | 3}},
		 true);
	b.structure("shifted", {{"", flags, 36}, {"bit", integer, 1}, {"fine", integer, 40}});

	BtfReader reader(b.data());

	EXPECT_EQ(reader.offset_of("outer", "whole"), 3);
	EXPECT_EQ(reader.offset_of("outer", "eight"), 0x1fffff);
	EXPECT_EQ(reader.offset_of("outer", "bit"), -EINVAL);
	EXPECT_EQ(reader.offset_of("outer", "low"), 5);
	EXPECT_EQ(reader.offset_of("outer", "odd"), -EINVAL);
	EXPECT_EQ(reader.offset_of("outer", "far"), 0x00200008);
	EXPECT_EQ(reader.offset_of("shifted", "bit"), -EINVAL);
	EXPECT_EQ(reader.offset_of("shifted", "fine"), 5);
	EXPECT_EQ(reader.offset_of("shifted", "low"), -EINVAL);
}

/* The limit is the record itself and 63 without a name, within each other or side by side. */
TEST(many_records)
{
	for (int count : {63, 64}) {
		Builder b;
		Id inner = b.structure("", {{"innermost", 1, 8}});

		for (int i = 1; i < count; i++)
			inner = b.structure("", {{"", inner, 8}});
		b.structure("outer", {{"", inner, 0}, {"near", inner, 16}});

		BtfReader reader(b.data());

		EXPECT_EQ(reader.offset_of("outer", "innermost"), count == 63 ? 63L : -EINVAL);
		EXPECT_EQ(reader.offset_of("outer", "near"), 2);
	}

	Builder b;

	b.structure("", {{"", 1, 0}});
	b.structure("endless", {{"", 1, 0}});
	EXPECT_EQ(BtfReader(b.data()).offset_of("endless", "no"), -EINVAL);
}
