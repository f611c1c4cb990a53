// SPDX-License-Identifier: GPL-2.0-only
/* The rules of aufs's option syntax, one by one. kunit/host/options-property.cc has the laws. */
#include <errno.h>
#include <initializer_list>

#include "check.hh"
#include "options.hh"
#include "text.hh"

using namespace aufs;

namespace
{

Text describe(const OptionError &error)
{
	char text[1024];

	return StringView(text, error.describe(text, sizeof(text)));
}

/*
 * A list, read to its end: "path=perm" for each branch with a star where the permission was not
 * given and a newline between, or the errno and the text of the error.
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
		all += '=';
		all += branch_perm_name(item.value().perm);
		all += copy_on_open_name(item.value().copy_on_open);
		if (!item.value().perm_given)
			all += '*';
	}
	return all;
}

/* mount(2)'s data as "[key][value]" for each option, "[key]" where there is no value. */
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

/* The keys of @options, each as "key" or "key=", given to one mount. */
Text accept(std::initializer_list<const char *> options)
{
	OptionSet set;
	Text all;
	OptionError error;

	for (const char *option : options) {
		StringView key = StringView::from_c_string(option);
		bool has_value = !key.empty() && key[key.size() - 1] == '=';

		if (has_value)
			key = key.substr(0, key.size() - 1);

		Result<OptionUse> use = set.accept(key, has_value, error);

		if (!use.ok())
			return Text::number(use.error()) + " " + describe(error);
		static constexpr const char *names[] = {"br",  "append", "create",  "cpup",
							"sum", "nosum",	 "share_rw"};

		all += Text(names[static_cast<int>(use.value().key)]);
		all += "(" + Text(use.value().head) + ")";
	}
	return all;
}

void expect_text(int line, const Text &got, const Text &expected)
{
	check::equal(__FILE_NAME__, line, "this text", StringView(got), StringView(expected));
}

void expect_errno(int line, const Text &got, int expected)
{
	if (StringView(got).starts_with("-" + Text::number(expected) + " "))
		return;
	check::fail(__FILE_NAME__, line, "an error");
	check::show("errno", expected);
	check::show("got", got);
}

} // namespace

#define EXPECT_TEXT(got, expected) expect_text(__LINE__, got, expected)
#define EXPECT_ERRNO(got, error)   expect_errno(__LINE__, got, error)

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
	EXPECT_TEXT(parse("/a=rw+nolwh:/b=ro+wh:/c=rr+wh"), "/a=rw\n/b=ro\n/c=rr");
	EXPECT_TEXT(parse("/a=ro+wh+wh"), "/a=ro");
	EXPECT_TEXT(parse("/a=rw+wh"), "-22 unknown attribute 'wh' in '/a=rw+wh' "
				       "(known are ro+wh, rr+wh, rw+nolwh, coo_reg, coo_all)");
	EXPECT_ERRNO(parse("/a=ro+nolwh"), EINVAL);
	EXPECT_ERRNO(parse("/a=rr+nolwh"), EINVAL);
	for (const char *attribute : {"", "coo", "coo_re", "coo_reg_all", "fhsm", "unpin", "moo",
				      "WH", "whx", "w", "wh+", "wh+moo", "\\wh"}) {
		EXPECT_ERRNO(parse(Text("/a=ro+") + attribute), EINVAL);
		EXPECT_ERRNO(parse(Text("/a=rw+nolwh+") + attribute), EINVAL);
	}
}

TEST(copy_on_open)
{
	EXPECT_TEXT(parse("/a=rw+coo_reg:/b=ro+coo_reg:/c=rr+wh+coo_all"),
		    "/a=rw+coo_reg\n/b=ro+coo_reg\n/c=rr+coo_all");
	EXPECT_TEXT(parse("/a=rw+coo_all+nolwh:/b"), "/a=rw+coo_all\n/b=ro*");
	EXPECT_TEXT(parse("/a=ro+coo_reg+coo_all:/b=ro+coo_all+coo_reg"),
		    "/a=ro+coo_all\n/b=ro+coo_all");
}

TEST(unknown_permission)
{
	EXPECT_TEXT(parse("/a=rw:/lower=rx"),
		    "-22 unknown permission 'rx' in '/lower=rx' (known are rw, ro, rr)");
	for (const char *perm : {"", "r", "RW", "rwx", "ro ", " ro", "wh", "+wh", "r\\o"})
		EXPECT_ERRNO(parse(Text("/a=") + perm), EINVAL);
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

/* What /proc/mounts makes of escapes means the same as before. */
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
	EXPECT_TEXT(parse("/a:"), "-22 empty branch after the last ':' in '/a:' "
				  "(a ':' in a path is written '\\:')");
	EXPECT_TEXT(parse("/a::/b"), "-22 empty branch before a ':' in '/a::/b' "
				     "(a ':' in a path is written '\\:')");
	EXPECT_ERRNO(parse(":"), EINVAL);
	EXPECT_ERRNO(parse(":/a"), EINVAL);
	EXPECT_ERRNO(parse("/a=rw:"), EINVAL);
	EXPECT_TEXT(parse("=rw"), "-22 no path before the permission in '=rw'");
	EXPECT_ERRNO(parse("/a:=ro"), EINVAL);
	EXPECT_ERRNO(parse("="), EINVAL);
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
	/* What counts is the length without escapes. */
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
	/* The limit is PATH_MAX, even where the buffer is larger. */
	char large[2 * path_size];
	Text path(path_size, 'x');

	EXPECT_EQ(BranchList(path).next(large, sizeof(large), error).error(), -ENAMETOOLONG);
}

TEST(branch_count)
{
	Text list = "/0";

	static_assert(max_branches == 127);
	for (int i = 1; i < 127; i++)
		list += ":/" + Text::number(i);
	EXPECT_TEXT(StringView(parse(list)).substr(0, 16), "/0=rw*\n/1=ro*\n/2");
	EXPECT_TEXT(parse(list + ":/127"), "-7 too many branches, from here on '/127'");
	EXPECT_ERRNO(parse(list, 1), E2BIG);
	EXPECT_TEXT(parse("/a", 126), "/a=ro*");
	EXPECT_ERRNO(parse("/a", 127), E2BIG);
}

TEST(split_data)
{
	EXPECT_TEXT(split("br=/a=rw:/b,dirs=/c"), "[br][/a=rw:/b][dirs][/c]");
	EXPECT_TEXT(split("br:/a=rw:/b"), "[br][/a=rw:/b]");
	EXPECT_TEXT(split("append:/a=rw,append=/b:/c"), "[append][/a=rw][append][/b:/c]");
	EXPECT_TEXT(split("br:/a,noatime"), "[br][/a][noatime]");
	EXPECT_TEXT(split("context=a:b:c"), "[context][a:b:c]");
	EXPECT_TEXT(split("a:b=c"), "[a:b][c]");
	EXPECT_TEXT(split("dirs:/a=rw"), "[dirs:/a][rw]");
	EXPECT_TEXT(split("br"), "[br]");
	EXPECT_TEXT(split("br="), "[br][]");
	EXPECT_TEXT(split("br:"), "[br][]");
	EXPECT_TEXT(split("br==a"), "[br][=a]");
	EXPECT_TEXT(split("br=:a"), "[br][:a]");
	EXPECT_TEXT(split("bra:/a"), "[bra:/a]");
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

TEST(keys)
{
	EXPECT_TEXT(accept({"br="}), "br()");
	EXPECT_TEXT(accept({"dirs="}), "br()");
	EXPECT_TEXT(accept({"append="}), "append()");
	EXPECT_TEXT(accept({"br=", "append=", "append="}), "br()append()append()");
	EXPECT_TEXT(accept({"xino="}),
		    "-22 unknown option 'xino' "
		    "(known are br, dirs, append, create, cpup, sum, nosum, share_rw)");
	for (const char *key :
	     {"=", "b=", "bra=", "BR=", "noxino", "dir=", "dirs:/a=", "appen=", "br "})
		EXPECT_ERRNO(accept({key}), EINVAL);
}

TEST(keys_without_value)
{
	EXPECT_TEXT(accept({"br"}), "-22 no branches given with option 'br'");
	EXPECT_ERRNO(accept({"dirs"}), EINVAL);
	EXPECT_ERRNO(accept({"append"}), EINVAL);
}

TEST(keys_of_settings)
{
	EXPECT_TEXT(accept({"create=", "create_policy=", "cpup=", "copyup=", "copyup_policy=",
			    "sum", "nosum", "share_rw", "br="}),
		    "create()create()cpup()cpup()cpup()sum()nosum()share_rw()br()");
	EXPECT_TEXT(accept({"create"}), "-22 no policy given with option 'create'");
	EXPECT_TEXT(accept({"copyup"}), "-22 no policy given with option 'copyup'");
	EXPECT_TEXT(accept({"sum="}), "-22 no value goes with option 'sum'");
	EXPECT_ERRNO(accept({"nosum="}), EINVAL);
	EXPECT_ERRNO(accept({"share_rw="}), EINVAL);
	for (const char *key : {"create:tdp", "create:tdp=", "cpup:", "sum:", "summ", "cpu="})
		EXPECT_ERRNO(accept({key}), EINVAL);
}

/* The settings after @key=@value was applied to some, or the error. */
static Text applied(OptionKey key, const Text &value)
{
	Settings settings = {7, CreatePolicy::rr, CopyPolicy::bup, true};
	OptionError error;
	auto result = apply(settings, key, value, error);

	if (!result.ok()) {
		EXPECT(settings == (Settings{7, CreatePolicy::rr, CopyPolicy::bup, true}));
		return Text::number(result.error()) + " " + describe(error);
	}
	return Text(create_policy_name(settings.create)) + " " +
	       Text::number(settings.mfs_seconds) + " " + Text(copy_policy_name(settings.copy_up)) +
	       (settings.sum ? " sum" : "") + (settings.share_rw ? " share_rw" : "");
}

TEST(create_policies)
{
	EXPECT_TEXT(applied(OptionKey::create, "tdp"), "tdp 30 bup sum");
	EXPECT_TEXT(applied(OptionKey::create, "rr"), "rr 30 bup sum");
	EXPECT_TEXT(applied(OptionKey::create, "mfs"), "mfs 30 bup sum");
	EXPECT_TEXT(applied(OptionKey::create, "mfs:0"), "mfs 0 bup sum");
	EXPECT_TEXT(applied(OptionKey::create, "mfs:999999999"), "mfs 999999999 bup sum");
	EXPECT_TEXT(applied(OptionKey::create, "mfs:x"), "-22 no number of seconds 'x' in 'mfs:x'");
	EXPECT_TEXT(applied(OptionKey::create, "pmfs"),
		    "-22 unknown create policy 'pmfs' (known are tdp, rr, mfs, mfs:SECONDS)");
	for (const char *value : {"", "td", "tdpx", "rr:", "rr:1", "tdp:1", "mfs:", "mfs:-1",
				  "mfs:1s", "mfs: 1", "mfs:1000000000", "MFS", ":1"})
		EXPECT_ERRNO(applied(OptionKey::create, value), EINVAL);
}

TEST(flags)
{
	EXPECT_TEXT(applied(OptionKey::nosum, ""), "rr 7 bup");
	EXPECT_TEXT(applied(OptionKey::share_rw, ""), "rr 7 bup sum share_rw");
}

TEST(copy_policies)
{
	EXPECT_TEXT(applied(OptionKey::copy_up, "tdp"), "rr 7 tdp sum");
	EXPECT_TEXT(applied(OptionKey::copy_up, "bup"), "rr 7 bup sum");
	EXPECT_TEXT(applied(OptionKey::copy_up, "bu"), "rr 7 bu sum");
	EXPECT_TEXT(applied(OptionKey::copy_up, "rr"),
		    "-22 unknown copy-up policy 'rr' (known are tdp, bup, bu)");
	for (const char *value : {"", "b", "bupx", "bu:", "BU"})
		EXPECT_ERRNO(applied(OptionKey::copy_up, value), EINVAL);
}

TEST(sum_of_branches)
{
	EXPECT_TEXT(applied(OptionKey::sum, ""), "rr 7 bup sum");
	EXPECT_TEXT(applied(OptionKey::nosum, ""), "rr 7 bup");
}

TEST(keys_given_twice)
{
	EXPECT_TEXT(accept({"br=", "br="}),
		    "-22 branches given twice, the second time by option 'br'");
	EXPECT_ERRNO(accept({"br=", "dirs="}), EINVAL);
	EXPECT_ERRNO(accept({"dirs=", "append=", "br="}), EINVAL);
	EXPECT_TEXT(accept({"append=", "br="}), "-22 append given before option 'br'");
	EXPECT_ERRNO(accept({"append=", "dirs="}), EINVAL);
}

/* mount(8) may cut "br:/a=rw:/b" at the first "=" before fsconfig(2) sees it. */
TEST(keys_with_the_head_of_a_list)
{
	EXPECT_TEXT(accept({"br:/a="}), "br(/a)");
	EXPECT_TEXT(accept({"br:/a:/b"}), "br(/a:/b)");
	EXPECT_TEXT(accept({"append:/a=", "append:/b\\:c"}), "append(/a)append(/b\\:c)");
	EXPECT_ERRNO(accept({"br:/a=", "br="}), EINVAL);
	EXPECT_TEXT(accept({"br:"}), "-22 no branches given with option 'br:'");
	EXPECT_ERRNO(accept({"br:="}), EINVAL);
	EXPECT_ERRNO(accept({"append:"}), EINVAL);
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
	/* Bytes over 127 are somebody's letters. */
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
