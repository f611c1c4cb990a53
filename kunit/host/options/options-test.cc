// SPDX-License-Identifier: GPL-2.0-only
/* The rules of aufs's option syntax, one by one. options-property-test.cc has the laws. */
#include <initializer_list>

#include "expect.hh"

using namespace aufs;

namespace
{

/*
 * Reads a list to its end. Returns "path=perm" for each branch, with a star if the permission was not given, and
 * newlines between them; or the errno and the text of the error.
 */
Text parse(const Text &text, unsigned int already = 0)
{
	BranchList list(text, already);
	Text all;
	char buffer[path_size];
	OptionError error;

	while (list.more()) {
		Result<BranchItem> item = list.next(buffer, sizeof(buffer), error);

		if (!item.ok()) {
			EXPECT(!list.more());
			return Text::number(item.error()) + " " + describe(error);
		}
		EXPECT_EQ(buffer[item.value().path.size()], '\0');
		if (!all.empty())
			all += '\n';
		all += item.value().path;
		item.value().write_use([&all](StringView piece) { all += piece; });
		if (!item.value().perm_given)
			all += '*';
		if (char text[300]; item.value().ignores)
			all += Text(" !") +
			       StringView(text, describe_ignored(item.value(), text, sizeof(text)));
	}
	return all;
}

/* mount(2)'s data as "[key][value]" for each option, "[key]" for one without a value. */
Text split(const Text &text)
{
	MonolithicOptions options(text);
	Text all;
	OptionError error;

	while (options.more()) {
		Result<RawOption> option = options.next(error);

		if (!option.ok())
			return Text::number(option.error()) + " " + describe(error);
		all += "[" + Text(option.value().key) + "]";
		if (option.value().has_value)
			all += "[" + Text(option.value().value) + "]";
	}
	return all;
}

} // namespace

TEST(permissions)
{
	EXPECT_TEXT(parse("/a=rw:/b=ro:/c=rr"), "/a=rw\n/b=ro\n/c=rr");
	EXPECT_TEXT(parse("/a=ro:/b=rw"), "/a=ro\n/b=rw");
	EXPECT_TEXT(parse("/a=rr"), "/a=rr");
}

TEST(default_permissions)
{
	EXPECT_TEXT(parse("/a"), "/a=rw*");
	EXPECT_TEXT(parse("/a:/b:/c"), "/a=rw*\n/b=ro*\n/c=ro*");
	EXPECT_TEXT(parse("/a:/b=rw:/c"), "/a=rw*\n/b=rw\n/c=ro*");
	EXPECT_TEXT(parse("/a:/b", 1), "/a=ro*\n/b=ro*");
}

TEST(attributes)
{
	EXPECT_TEXT(parse("/a=rw+nolwh:/b=ro+wh:/c=rr+wh"), "/a=rw+nolwh\n/b=ro\n/c=rr");
	EXPECT_TEXT(parse("/a=rw+nolwh+icex+nolwh"), "/a=rw+nolwh+icex");
	EXPECT_TEXT(parse("/a=ro+wh+wh"), "/a=ro");
	EXPECT_TEXT(parse("/a=ro+"), "-22 wrong attribute after a '+' in '/a=ro+'");
	EXPECT_TEXT(parse("/a=rw+/b"), "-22 wrong attribute after a '+' '/b' in '/a=rw+/b'");
	for (const char *attribute : {"+wh", "wh+", "wh++coo_reg", "moo+", "\\wh", "w-h", "wh ",
				      "wh=", "a.b", "a[", "a`", "a{", "a@", "a/"})
		EXPECT_ERRNO(parse(Text("/a=ro+") + attribute), EINVAL);
}

/* An attribute without effect is named, with the reason. The branch is mounted nevertheless. */
TEST(attributes_without_effect)
{
	EXPECT_TEXT(parse("/a=rw+moo:/b=ro"), "/a=rw !'moo' (files come to each rw branch)\n/b=ro");
	EXPECT_TEXT(
		parse("/a=rw+fhsm+nolwh+unpin"),
		"/a=rw+nolwh !'fhsm' (there is no tiered storage), 'unpin' (branches are always pinned)");
	EXPECT_TEXT(parse("/a=ro+nothing+coo_reg"), "/a=ro+coo_reg !'nothing' (not known there)");
	for (const char *attribute :
	     {"rw+wh", "ro+nolwh", "rr+nolwh", "ro+moo", "ro+fhsm", "ro+coo", "ro+coo_re",
	      "ro+coo_reg_all", "rw+owh", "ro+WH", "ro+whx", "ro+w", "ro+W_9"}) {
		Text text = Text("/a=") + attribute;
		Text name = StringView(text).substr(6);

		EXPECT_TEXT(parse(text), Text(StringView(text).substr(0, 5)) + " !'" + name +
						 "' (not known there)");
	}
}

TEST(copy_on_open)
{
	EXPECT_TEXT(parse("/b=ro+coo_reg:/c=rr+wh+coo_all"), "/b=ro+coo_reg\n/c=rr+coo_all");
	/* It is kept, for a list that is repeated. */
	EXPECT_TEXT(
		parse("/a=rw+coo_reg+nolwh:/b"),
		"/a=rw+coo_reg+nolwh !'coo_reg' (what a rw branch has is not copied up)\n/b=ro*");
	EXPECT_TEXT(parse("/a=rw+coo_reg+coo_all"),
		    "/a=rw+coo_all !'coo_reg' (what a rw branch has is not copied up), "
		    "'coo_all' (what a rw branch has is not copied up)");
	EXPECT_TEXT(parse("/a=ro+coo_reg+coo_all:/b=ro+coo_all+coo_reg"),
		    "/a=ro+coo_all\n/b=ro+coo_all");
}

TEST(whiteouts_of_overlayfs)
{
	EXPECT_TEXT(parse("/a=ro+owh:/b=rr+icex+owh+coo_reg:/c=rr+owh+owh"),
		    "/a=ro+owh\n/b=rr+coo_reg+owh+icex\n/c=rr+owh");
}

TEST(attributes_that_may_be_missed)
{
	EXPECT_TEXT(parse("/a=rw+icexsec+icextr:/b=ro+icexoth+wh+icexusr"),
		    "/a=rw+icexsec+icextr\n/b=ro+icexusr+icexoth");
	EXPECT_TEXT(parse("/a=ro+coo_reg+icex:/b=rr+icexsys"), "/a=ro+coo_reg+icex\n/b=rr+icexsys");
	EXPECT_TEXT(parse("/a=rw+icexsec+icexsys+icextr+icexusr+icexoth"), "/a=rw+icex");

	constexpr const char *names[] = {"security.x", "system.x", "trusted.x", "user.x",
					 "x.user."};

	for (unsigned int i = 0; i < 5; i++) {
		XattrClasses one(static_cast<unsigned char>(1U << i));

		for (unsigned int name = 0; name < 5; name++)
			EXPECT_EQ(one.has(StringView::from_c_string(names[name])), name == i);
		EXPECT(XattrClasses(XattrClasses::all).has(StringView::from_c_string(names[i])));
		EXPECT(!XattrClasses().has(StringView::from_c_string(names[i])));
	}
}

TEST(unknown_permission)
{
	EXPECT_TEXT(parse("/a=rw:/lower=rx"),
		    "/a=rw\n/lower=ro !permission 'rx' (ro in its place; known are rw, ro, rr)");
	for (const char *perm : {"r", "RW", "rwx", "wh", "w", "r_W9"})
		EXPECT_TEXT(parse(Text("/a=") + perm),
			    Text("/a=ro !permission '") + perm +
				    "' (ro in its place; known are rw, ro, rr)");
	/* It has the attributes of ro. */
	EXPECT_TEXT(parse("/a=r+wh+coo_reg:/b=r"),
		    "/a=ro+coo_reg !permission 'r' (ro in its place; known are rw, ro, rr)\n"
		    "/b=ro !permission 'r' (ro in its place; known are rw, ro, rr)");
	EXPECT_TEXT(parse("/a=r+nolwh"),
		    "/a=ro !permission 'r' (ro in its place; known are rw, ro, rr), "
		    "'nolwh' (not known there)");
	/* What is no word is rather a part of a path. */
	for (const char *perm : {"", "ro ", " ro", "+wh", "r\\o", "r/o", "/ro", "r-w"})
		EXPECT_ERRNO(parse(Text("/a=") + perm), EINVAL);
	EXPECT_TEXT(parse("/a=rw:/lower=/b"),
		    "-22 unknown permission '/b' in '/lower=/b' (known are rw, ro, rr)");
	EXPECT_TEXT(parse("/a=b=rw"), "-22 unknown permission 'b=rw' in '/a=b=rw' "
				      "(a '=' in a path is written '\\=')");
}

TEST(escapes)
{
	EXPECT_TEXT(parse("/a\\,b\\:c\\=d\\\\e=ro"), "/a,b:c=d\\e=ro");
	EXPECT_TEXT(parse("/a\\\\:/b\\\\=rw"), "/a\\=rw*\n/b\\=rw");
	EXPECT_TEXT(parse("/a\\\\\\:b"), "/a\\:b=rw*");
	EXPECT_TEXT(parse("/a,b+c \"d\""), "/a,b+c \"d\"=rw*");
}

TEST(octal_escapes)
{
	EXPECT_TEXT(parse("/a\\040b\\011c\\012d\\043e\\042"), "/a b\tc\nd#e\"=rw*");
	EXPECT_TEXT(parse("/a\\072b\\075c\\054d=rr"), "/a:b=c,d=rr");
	EXPECT_TEXT(parse("/\\303\\244\\377"), "/\303\244\377=rw*");
	EXPECT_TEXT(parse("/\\1019"), "/A9=rw*");
	EXPECT_ERRNO(parse("/a\\000b"), EINVAL);
	EXPECT_ERRNO(parse("/a\\400"), EINVAL);
	EXPECT_ERRNO(parse("/a\\08"), EINVAL);
	EXPECT_ERRNO(parse("/a\\018"), EINVAL);
	EXPECT_ERRNO(parse("/a\\180"), EINVAL);
	EXPECT_ERRNO(parse("/a\\04"), EINVAL);
	EXPECT_ERRNO(parse("/a\\04:/b"), EINVAL);
}

/* Escapes mean the same in the form that /proc/mounts gives them. */
TEST(mangled_escapes)
{
	EXPECT_TEXT(parse("/a\\134,b\\134:c\\134=d\\134\\134e=ro"), "/a,b:c=d\\e=ro");
	/* Doubled backslashes before digits are a backslash and digits, in either shape. */
	EXPECT_TEXT(parse("/a\\\\134"), "/a\\134=rw*");
	EXPECT_TEXT(parse("/a\\134\\134134"), "/a\\134=rw*");
	EXPECT_TEXT(parse("/a\\\\040"), "/a\\040=rw*");
	EXPECT_ERRNO(parse("/a\\134"), EINVAL);
	EXPECT_ERRNO(parse("/a\\134b"), EINVAL);
	EXPECT_ERRNO(parse("/a\\134040"), EINVAL);
	EXPECT_ERRNO(parse("/a\\134\\"), EINVAL);
}

TEST(lone_backslash)
{
	EXPECT_TEXT(parse("/a\\x2d"), "-22 lone backslash '\\x' in '/a\\x2d' "
				      "(a backslash in a path is written '\\\\')");
	EXPECT_TEXT(parse("/a\\"), "-22 lone backslash '\\' in '/a\\' "
				   "(a backslash in a path is written '\\\\')");
	EXPECT_ERRNO(parse("/a\\\\\\"), EINVAL);
	EXPECT_ERRNO(parse("/a\\ b"), EINVAL);
	EXPECT_ERRNO(parse("/a\\\"b"), EINVAL);
	EXPECT_ERRNO(parse("/a\\+b"), EINVAL);
	EXPECT_ERRNO(parse(StringView("/a\0b")), EINVAL);
}

TEST(empty_branches)
{
	EXPECT_TEXT(parse(""), "-22 no branch given");
	EXPECT_TEXT(parse("/a::/b"), "-22 empty branch before a ':' in '/a::/b' "
				     "(a ':' in a path is written '\\:')");
	EXPECT_ERRNO(parse(":"), EINVAL);
	EXPECT_ERRNO(parse("::"), EINVAL);
	EXPECT_ERRNO(parse(":/a"), EINVAL);
	EXPECT_ERRNO(parse("/a:::"), EINVAL);
	EXPECT_ERRNO(parse("/a:::/b"), EINVAL);
	EXPECT_TEXT(parse("=rw"), "-22 no path before the permission in '=rw'");
	EXPECT_ERRNO(parse("/a:=ro"), EINVAL);
	EXPECT_ERRNO(parse("="), EINVAL);
}

/* As a program leaves them that builds a list. */
TEST(colons_at_the_end)
{
	EXPECT_TEXT(parse("/a:"), "/a=rw*");
	EXPECT_TEXT(parse("/a=rw:/b=ro+wh:"), "/a=rw\n/b=ro");
	EXPECT_TEXT(parse("/a=rw:/b=ro+wh::"), "/a=rw\n/b=ro");
	EXPECT_TEXT(parse("/a\\:"), "/a:=rw*");
	EXPECT_TEXT(parse("/a\\::"), "/a:=rw*");
}

TEST(relative_paths)
{
	EXPECT_TEXT(parse("a:./b:../c=ro"), "a=rw*\n./b=ro*\n../c=ro");
}

TEST(path_length)
{
	Text longest = "/" + Text(path_size - 2, 'x');

	static_assert(path_size == 4096);
	EXPECT_TEXT(parse(longest), longest + "=rw*");
	EXPECT_TEXT(parse(longest + "=rw"), longest + "=rw");
	EXPECT_ERRNO(parse(longest + "x"), ENAMETOOLONG);
	EXPECT_ERRNO(parse("/a:" + longest + "x=rw"), ENAMETOOLONG);
	/* The length without escapes counts. */
	Text almost = StringView(longest).substr(0, longest.size() - 1);

	EXPECT_TEXT(parse(almost + "\\134,"), almost + ",=rw*");
	EXPECT_ERRNO(parse(almost + "\\134,\\,"), ENAMETOOLONG);
}

TEST(small_buffer)
{
	char buffer[4] = {'!', '!', '!', '!'};
	OptionError error;

	EXPECT_EQ(BranchList("/a").next(buffer, 3, error).error(), 0);
	EXPECT_EQ(StringView(buffer, 4), StringView("/a\0!"));
	EXPECT_EQ(BranchList("/ab").next(buffer, 3, error).error(), -ENAMETOOLONG);
	EXPECT_EQ(buffer[3], '!');
	EXPECT_TEXT(describe(error), "path too long in '/ab'");
	buffer[0] = '!';
	EXPECT_EQ(BranchList("/").next(buffer, 0, error).error(), -ENAMETOOLONG);
	EXPECT_EQ(BranchList("/").next(buffer, 1, error).error(), -ENAMETOOLONG);
	EXPECT_EQ(buffer[0], '!');
	/* The limit is PATH_MAX, also with a larger buffer. */
	char large[2 * path_size];
	Text path(path_size, 'x');

	EXPECT_EQ(BranchList(path).next(large, sizeof(large), error).error(), -ENAMETOOLONG);
}

TEST(branch_count)
{
	Text list = "/0";

	constexpr int most = max_branches;

	for (int i = 1; i < most; i++)
		list += ":/" + Text::number(i);
	EXPECT_TEXT(StringView(parse(list)).substr(0, 16), "/0=rw*\n/1=ro*\n/2");
	EXPECT_TEXT(parse(list + ":/4096"), "-7 too many branches, from here on '/4096'");
	EXPECT_ERRNO(parse(list, 1), E2BIG);
	EXPECT_TEXT(parse("/a", most - 1), "/a=ro*");
	EXPECT_ERRNO(parse("/a", most), E2BIG);
}

TEST(split_data)
{
	EXPECT_TEXT(split("br=/a=rw:/b,dirs=/c"), "[br][/a=rw:/b][dirs][/c]");
	EXPECT_TEXT(split("br:/a=rw:/b"), "[br][/a=rw:/b]");
	EXPECT_TEXT(split("append:/a=rw,append=/b:/c"), "[append][/a=rw][append][/b:/c]");
	EXPECT_TEXT(split("br:/a,noatime"), "[br][/a][noatime]");
	EXPECT_TEXT(split("context=a:b:c"), "[context][a:b:c]");
	EXPECT_TEXT(split("a:b=c"), "[a][b=c]");
	EXPECT_TEXT(split("dirs:/a=rw"), "[dirs][/a=rw]");
	EXPECT_TEXT(split("add:1:/a=rr"), "[add][1:/a=rr]");
	EXPECT_TEXT(split("a\\:b=c"), "[a\\:b][c]");
	EXPECT_TEXT(split("br"), "[br]");
	EXPECT_TEXT(split("br="), "[br][]");
	EXPECT_TEXT(split("br:"), "[br][]");
	EXPECT_TEXT(split("br==a"), "[br][=a]");
	EXPECT_TEXT(split("br=:a"), "[br][:a]");
	EXPECT_TEXT(split("bra:/a"), "[bra][/a]");
	EXPECT_TEXT(split("a,:x"), "-22 option without a name ':x'");
}

TEST(split_empty_options)
{
	EXPECT_TEXT(split(""), "");
	EXPECT_TEXT(split(","), "");
	EXPECT_TEXT(split(",,a,,b=1,"), "[a][b][1]");
	EXPECT_TEXT(split("=x"), "-22 option without a name '=x'");
	EXPECT_ERRNO(split("a,=,b"), EINVAL);
}

TEST(split_escaped_commas)
{
	EXPECT_TEXT(split("br=/a\\,b,c"), "[br][/a\\,b][c]");
	EXPECT_TEXT(split("br=/a\\\\,c"), "[br][/a\\\\][c]");
	EXPECT_TEXT(split("br=/a\\\\\\,c"), "[br][/a\\\\\\,c]");
	EXPECT_TEXT(split("br=/a\\134,b,c"), "[br][/a\\134,b][c]");
	EXPECT_TEXT(split("br=/a\\134\\134,c"), "[br][/a\\134\\134][c]");
	EXPECT_TEXT(split("br=/a\\\\134,c"), "[br][/a\\\\134][c]");
	EXPECT_TEXT(split("br=/a\\040,c"), "[br][/a\\040][c]");
	EXPECT_TEXT(split("br=/a\\x,c"), "[br][/a\\x][c]");
	EXPECT_TEXT(split("br=/a\\"), "[br][/a\\]");
}

TEST(describe_is_fit_for_a_log)
{
	OptionError error = {.text = "text", .word = "a\nb\x7f\033", .item = {}, .hint = "hint"};
	char small[8] = {'!', '!', '!', '!', '!', '!', '!', '!'};

	EXPECT_TEXT(describe(error), "text 'a?b?\?' (hint)");
	EXPECT_EQ(error.describe(small, 7), 6U);
	EXPECT_EQ(StringView(small, 8), StringView("text '\0!"));
	EXPECT_EQ(error.describe(small, 1), 0U);
	EXPECT_EQ(small[0], '\0');
	EXPECT_EQ(small[1], 'e');

	Text item(500, 'x');

	error = {.text = "text", .item = item};
	EXPECT_TEXT(describe(error), "text in '" + Text(200, 'x') + "...'");
	/* Bytes over 127 are letters of some language. */
	error = {.text = "text", .item = "\303\244"};
	EXPECT_TEXT(describe(error), "text in '\303\244'");
}

TEST(escape)
{
	Text out;

	escape("/a,b:c=d\\e f\tg\nh\"i#j+\303\244", [&out](StringView piece) { out += piece; });
	EXPECT_TEXT(out, "/a\\,b\\:c\\=d\\134\\134e\\040f\\011g\\012h\\042i#j+\303\244");
	out.clear();
	escape("/plain", [&out](StringView piece) { out += "<" + Text(piece) + ">"; });
	EXPECT_TEXT(out, "</plain>");
	escape("", [&out](StringView) { out += "!"; });
	EXPECT_TEXT(out, "</plain>");
}

int main()
{
	return check::run_all();
}
