// SPDX-License-Identifier: GPL-2.0-only
/* Changes of branches, one by one. branch-change-property-test.cc has the laws. */
#include <initializer_list>

#include "expect.hh"
#include "options/branch_change.hh"

using namespace aufs;

namespace
{

/* Kind, place of an insertion, path, new path, and the permission, with a star if none was given. */
Text show(const BranchChange &change)
{
	static constexpr const char *kinds[] = {"insert", "append", "remove",
						"detach", "modify", "replace"};
	Text text = kinds[static_cast<int>(change.kind)];
	const BranchItem &branch = change.branch;

	if (change.kind == BranchChange::Kind::insert)
		text += " " + Text::number(change.place);
	else
		EXPECT_EQ(change.place, 0U);
	EXPECT_EQ(*branch.path.end(), '\0');
	text += " " + Text(branch.path);
	EXPECT_EQ(change.kind == BranchChange::Kind::replace, !change.new_path.empty());
	if (!change.new_path.empty()) {
		EXPECT_EQ(*change.new_path.end(), '\0');
		text += " " + Text(change.new_path);
	}
	if (change.kind == BranchChange::Kind::remove ||
	    change.kind == BranchChange::Kind::detach) {
		EXPECT(!branch.perm_given && !branch.ignores && branch.attributes.empty());
		return text;
	}
	branch.write_use([&text](StringView piece) { text += piece; });
	return text + (branch.perm_given ? "" : "*") + (branch.ignores ? "!" : "");
}

/* Adds the changes of @option to @all, each after "; ". If one is wrong, @all gets the error: false then. */
bool add_changes(OptionSet &set, const RawOption &option, unsigned int already, Text &all)
{
	static char buffer[BranchChanges::buffer_size];
	OptionError error;
	Settings settings;
	Result<OptionKey> key = set.accept(option, settings, error);

	if (!key.ok()) {
		all = Text::number(key.error()) + " " + describe(error);
		return false;
	}
	if (!changes_branches(key.value()))
		return true;

	BranchChanges changes(key.value(), option.value, already);

	EXPECT(changes.more());
	/* Ends, whatever the parser does. */
	while (changes.more() && all.size() < 20000) {
		Result<BranchChange> change = changes.next(buffer, sizeof(buffer), error);

		if (!change.ok()) {
			EXPECT(!changes.more());
			all = Text::number(change.error()) + " " + describe(error);
			return false;
		}
		all += Text(all.empty() ? "" : "; ") + show(change.value());
	}
	EXPECT(!changes.more());
	return true;
}

/* The changes of a remount with mount(2)'s @data. */
Text change(const Text &data, MountKind kind = MountKind::remount, unsigned int already = 1)
{
	MonolithicOptions options(data);
	OptionSet set(kind);
	OptionError error;
	Text all;

	while (options.more()) {
		Result<RawOption> option = options.next(error);

		if (!option.ok())
			return Text::number(option.error()) + " " + describe(error);
		if (!add_changes(set, option.value(), already, all))
			break;
	}
	return all;
}

/* The same by fsconfig(2), where mount(8) cuts each option at its first `=`. */
Text change_by_fsconfig(std::initializer_list<StringView> options)
{
	OptionSet set(MountKind::remount);
	Text all;

	for (StringView text : options) {
		StringView::Size cut = 0;

		while (cut < text.size() && text[cut] != '=')
			cut++;

		RawOption option(text.substr(0, cut));
		Text joined = option.value;

		if (cut < text.size()) {
			joined += Text(option.has_value ? "=" : "") + text.substr(cut + 1);
			option.has_value = true;
		}
		option.value = joined;
		if (!add_changes(set, option, 1, all))
			break;
	}
	return all;
}

} // namespace

TEST(add)
{
	EXPECT_TEXT(change("add:1:/a"), "insert 1 /a=ro*");
	EXPECT_TEXT(change("add=1:/a"), "insert 1 /a=ro*");
	EXPECT_TEXT(change("ins:0:/a=rw+nolwh"), "insert 0 /a=rw+nolwh");
	EXPECT_TEXT(change("ins=12:/a=rr+wh+coo_reg"), "insert 12 /a=rr+coo_reg");
	EXPECT_TEXT(change("add:3:./a b"), "insert 3 ./a b=ro*");
	EXPECT_TEXT(change("add:1:/a=ro+nothing"), "insert 1 /a=ro!");
	EXPECT_TEXT(change("add:1"), "-22 no place before the branch '1' "
				     "(as in add:1:/path; 0 is the top)");
	EXPECT_TEXT(change("add:/a=ro"), "-22 no place before the branch '/a=ro' "
					 "(as in add:1:/path; 0 is the top)");
	/* The original does not accept it either. */
	EXPECT_TEXT(change("add=1=/a"), "-22 no place before the branch '1=/a' "
					"(as in add:1:/path; 0 is the top)");
	EXPECT_TEXT(change("add:1:"), "-22 no path after the place in '1:'");
	EXPECT_TEXT(change("add:1:=ro"), "-22 no path before the permission in '=ro'");
	EXPECT_TEXT(change("add:0:/a=rx"), "insert 0 /a=ro!");
	EXPECT_TEXT(change("add:1:/a=r-x"),
		    "-22 unknown permission 'r-x' in '/a=r-x' (known are rw, ro, rr)");
	EXPECT_TEXT(change("add"), "-22 no value given with option 'add'");
	EXPECT_TEXT(change("add:"), "-22 no value given with option 'add'");
}

TEST(places)
{
	EXPECT_TEXT(change("add:90:/a"), "insert 90 /a=ro*");
	EXPECT_TEXT(change("add:2147483647:/a"), "insert 2147483647 /a=ro*");
	EXPECT_TEXT(change("add:2147483648:/a"),
		    "-22 place too large '2147483648' in '2147483648:/a'");
	for (const char *place : {"4294967296", "4294967297", "18446744073709551617",
				  "9999999999999999999999999", "2147483650", "3147483647"})
		EXPECT_ERRNO(change(Text("add:") + place + ":/a"), EINVAL);
	EXPECT_TEXT(change("add:/a:/b"), "-22 wrong place '/a' in '/a:/b' "
					 "(a decimal number, 0 is the top)");
	EXPECT_TEXT(change("add::/b"), "-22 wrong place in ':/b' "
				       "(a decimal number, 0 is the top)");
	for (const char *place : {"-1", "+1", " 1", "1 ", "0x1", "01", "00", "1a", "a", "1\\",
				  "1\\:2", "9/", "/9", ";"})
		EXPECT_ERRNO(change(Text("add:") + place + ":/a"), EINVAL);
}

TEST(lists)
{
	EXPECT_TEXT(change("append:/a"), "append /a=ro*");
	EXPECT_TEXT(change("append=/a=rw:/b=rr+wh:"), "append /a=rw; append /b=rr");
	EXPECT_TEXT(change("prepend:/a:/b=rw:/c::"),
		    "insert 0 /a=ro*; insert 1 /b=rw; insert 2 /c=ro*");
	EXPECT_TEXT(change("prepend=/a,prepend=/b"), "insert 0 /a=ro*; insert 0 /b=ro*");
	EXPECT_TEXT(change("append:/a:/b=x"), "append /a=ro*; append /b=ro!");
	EXPECT_TEXT(change("append:/a:/b=/x"),
		    "-22 unknown permission '/x' in '/b=/x' (known are rw, ro, rr)");
	EXPECT_TEXT(change("prepend"), "-22 no branches given with option 'prepend'");
	EXPECT_TEXT(change("prepend:"), "-22 no branch given");
	EXPECT_ERRNO(change("prepend:/a:::"), EINVAL);
	EXPECT_ERRNO(change("append::/a"), EINVAL);

	/* The parser does not limit their number. */
	Text list = "prepend:/0";

	for (unsigned int i = 1; i < 300; i++)
		list += ":/" + Text::number(i);
	EXPECT(StringView(change(list)).starts_with("insert 0 /0=ro*; insert 1 /1=ro*; "));
	list += "=";
	EXPECT_ERRNO(change(list), EINVAL);
}

TEST(remove_and_detach)
{
	EXPECT_TEXT(change("del:/a"), "remove /a");
	EXPECT_TEXT(change("del=a/b"), "remove a/b");
	EXPECT_TEXT(change("detach:/a"), "detach /a");
	EXPECT_TEXT(change("detach=/a"), "detach /a");
	EXPECT_TEXT(change("del:/a=ro"), "-22 a permission is of no use here: 'ro' in '/a=ro' "
					 "(a '=' in a path is written '\\=')");
	EXPECT_ERRNO(change("detach:/a="), EINVAL);
	EXPECT_ERRNO(change("del:=ro"), EINVAL);
	EXPECT_TEXT(change("del:"), "-22 no value given with option 'del'");
	EXPECT_TEXT(change("del"), "-22 no value given with option 'del'");
	EXPECT_TEXT(change("detach"), "-22 no value given with option 'detach'");
}

TEST(modify)
{
	EXPECT_TEXT(change("mod:/a=ro"), "modify /a=ro");
	EXPECT_TEXT(change("mod=/a=rw+coo_all+moo"), "modify /a=rw+coo_all!");
	EXPECT_TEXT(change("mod:/a"), "-22 no permission for branch '/a' (as in mod:/path=ro)");
	EXPECT_TEXT(change("mod:/a=wr+coo_all"), "modify /a=ro+coo_all!");
	EXPECT_TEXT(change("mod:/a="), "-22 unknown permission in '/a=' (known are rw, ro, rr)");
	EXPECT_TEXT(change("mod:=ro"), "-22 no path before the permission in '=ro'");
	EXPECT_ERRNO(change("mod:/a=b=ro"), EINVAL);
	EXPECT_ERRNO(change("mod"), EINVAL);
}

TEST(replace)
{
	EXPECT_TEXT(change("replace:/a=/b"), "replace /a /b=ro*");
	EXPECT_TEXT(change("replace=/a=/b=rw+nolwh+coo_reg"), "replace /a /b=rw+coo_reg+nolwh!");
	EXPECT_TEXT(change("replace:a=b=rr"), "replace a b=rr");
	EXPECT_TEXT(change("replace:a=b=c"), "replace a b=ro!");
	EXPECT_TEXT(change("replace:/a"), "-22 one path of two is missing in '/a' "
					  "(as in replace:/old=/new)");
	EXPECT_TEXT(change("replace:/a="), "-22 one path of two is missing in '/a=' "
					   "(as in replace:/old=/new)");
	EXPECT_TEXT(change("replace:=/b"), "-22 one path of two is missing in '=/b' "
					   "(as in replace:/old=/new)");
	EXPECT_ERRNO(change("replace:/a==ro"), EINVAL);
	EXPECT_ERRNO(change("replace:/a=/b="), EINVAL);
	EXPECT_ERRNO(change("replace:/a=/b=/c"), EINVAL);
	EXPECT_ERRNO(change("replace:/a\\x=/b"), EINVAL);
	EXPECT_ERRNO(change("replace:/a=/b\\x"), EINVAL);
}

/* As in options.hh; a `:` that separates nothing stands for itself. */
TEST(paths)
{
	EXPECT_TEXT(change("add:1:/a\\:b\\=c\\,d\\\\e=rr"), "insert 1 /a:b=c,d\\e=rr");
	EXPECT_TEXT(change("del:/a\\:b\\=c\\,d\\\\e\\040f"), "remove /a:b=c,d\\e f");
	EXPECT_TEXT(change("mod:/a\\=b=ro"), "modify /a=b=ro");
	EXPECT_TEXT(change("replace:/a\\=b=/c\\=d"), "replace /a=b /c=d=ro*");
	EXPECT_TEXT(change("add:1:/foo-1:2.sb=rr"), "insert 1 /foo-1:2.sb=rr");
	EXPECT_TEXT(change("add:1:2:/a:"), "insert 1 2:/a:=ro*");
	EXPECT_TEXT(change("del:/foo-1:2.sb"), "remove /foo-1:2.sb");
	EXPECT_TEXT(change("detach::a:"), "detach :a:");
	EXPECT_TEXT(change("mod:/foo-1:2.sb=ro"), "modify /foo-1:2.sb=ro");
	EXPECT_TEXT(change("replace:/a-1:1=/a-1:2"), "replace /a-1:1 /a-1:2=ro*");
	EXPECT_ERRNO(change("del:/a\\"), EINVAL);
	EXPECT_ERRNO(change("add:1:/a\\000"), EINVAL);
}

TEST(more_than_one_branch)
{
	EXPECT_TEXT(change("add:1:/a=rr:/b"), "-22 more than one branch ':/b' in '/a=rr:/b' "
					      "(give the option once for each)");
	EXPECT_TEXT(change("mod:/a=ro:/b=rw"), "-22 more than one branch ':/b=rw' in '/a=ro:/b=rw' "
					       "(give the option once for each)");
	EXPECT_TEXT(change("replace:/a=/b=ro:"), "-22 more than one branch ':' in '/b=ro:' "
						 "(give the option once for each)");
}

/* The parser does not limit the number of branches: it reads a list to its end. */
TEST(a_list_longer_than_a_mount)
{
	static char list[2 * (max_branches + 1)];
	static char buffer[BranchChanges::buffer_size];
	unsigned int count = 0;
	OptionError error;

	for (StringView::Size i = 0; i < sizeof(list); i += 2) {
		list[i] = 'a';
		list[i + 1] = ':';
	}

	BranchChanges changes(OptionKey::append, StringView(list, sizeof(list) - 1), 1);

	while (changes.more() && changes.next(buffer, sizeof(buffer), error).ok())
		count++;
	EXPECT_EQ(count, max_branches + 1);
}

/* Changes are made in the order of the options. An error ends them. */
TEST(several)
{
	EXPECT_TEXT(change("verbose,del:/a,sum,add:0:/b=rw,mod:/c=ro,detach:/d,append:/e,"
			   "prepend:/f,replace:/g=/h"),
		    "remove /a; insert 0 /b=rw; modify /c=ro; detach /d; append /e=ro*; "
		    "insert 0 /f=ro*; replace /g /h=ro*");
	EXPECT_TEXT(change("del:/a,add:x:/b,del:/c"),
		    "-22 wrong place 'x' in 'x:/b' (a decimal number, 0 is the top)");
}

/* The options of live systems and docker, by mount(2), and by fsconfig(2) as mount(8) gives them to that. */
TEST(scripts)
{
	/* Slax, Linux Live Kit: a bundle at start, one that comes, one that goes */
	EXPECT_TEXT(change("add:1:/run/initramfs/memory/bundles/01-core.sb"),
		    "insert 1 /run/initramfs/memory/bundles/01-core.sb=ro*");
	EXPECT_TEXT(change("add:1:/memory/bundles/01-core.sb=rr+wh"),
		    "insert 1 /memory/bundles/01-core.sb=rr");
	EXPECT_TEXT(change_by_fsconfig({"add:1:/memory/bundles/01-core.sb=rr+wh"}),
		    "insert 1 /memory/bundles/01-core.sb=rr");
	EXPECT_TEXT(change("verbose,del:/memory/bundles/05-chromium.sb"),
		    "remove /memory/bundles/05-chromium.sb");
	EXPECT_TEXT(change_by_fsconfig({"verbose", "del:/memory/bundles/05-chromium.sb"}),
		    "remove /memory/bundles/05-chromium.sb");
	/* Puppy: a module, one below, and another rw branch in one remount */
	EXPECT_TEXT(change("add:1:/initrd/pup_ro4=rr"), "insert 1 /initrd/pup_ro4=rr");
	EXPECT_TEXT(change("append:/initrd/pup_ro5=rr"), "append /initrd/pup_ro5=rr");
	EXPECT_TEXT(change("prepend:/save=rw,mod:/initrd/pup_rw=ro,del:/initrd/pup_rw"),
		    "insert 0 /save=rw; modify /initrd/pup_rw=ro; remove /initrd/pup_rw");
	EXPECT_TEXT(change_by_fsconfig(
			    {"prepend:/save=rw", "mod:/initrd/pup_rw=ro", "del:/initrd/pup_rw"}),
		    "insert 0 /save=rw; modify /initrd/pup_rw=ro; remove /initrd/pup_rw");
	EXPECT_TEXT(change("add=1:/initrd/pup_ro4=rr,del=/initrd/pup_ro3"),
		    "insert 1 /initrd/pup_ro4=rr; remove /initrd/pup_ro3");
	EXPECT_TEXT(change("udba=reval"), "");
	/* Porteus */
	EXPECT_TEXT(change("add:1:/mnt/live/memory/images/001-core.xzm=rr"),
		    "insert 1 /mnt/live/memory/images/001-core.xzm=rr");
	EXPECT_TEXT(change_by_fsconfig({"add:1:/mnt/live/memory/images/001-core.xzm=rr"}),
		    "insert 1 /mnt/live/memory/images/001-core.xzm=rr");
	/* docker: the layers for which the first mount has no room */
	EXPECT_TEXT(change("append:/var/lib/docker/aufs/diff/5e3f=ro+wh,"),
		    "append /var/lib/docker/aufs/diff/5e3f=ro");
	EXPECT_TEXT(change_by_fsconfig({"append:/var/lib/docker/aufs/diff/5e3f=ro+wh"}),
		    "append /var/lib/docker/aufs/diff/5e3f=ro");
	/* All the new changes */
	EXPECT_TEXT(change_by_fsconfig({"replace:/a\\=1=/b=rw", "detach:/c\\=d", "ins:2:/e"}),
		    "replace /a=1 /b=rw; detach /c=d; insert 2 /e=ro*");
}

/* A first mount may have the changes that add a branch, and begins with none. */
TEST(first_mount)
{
	EXPECT_TEXT(change("add:0:/a", MountKind::first, 0), "insert 0 /a=rw*");
	EXPECT_TEXT(change("add:0:/a=ro", MountKind::first, 0), "insert 0 /a=ro");
	EXPECT_TEXT(change("prepend:/a:/b", MountKind::first, 0),
		    "insert 0 /a=rw*; insert 1 /b=ro*");
	EXPECT_TEXT(change("append:/a:/b", MountKind::first, 0), "append /a=rw*; append /b=ro*");
	EXPECT_TEXT(change("br:/x,append:/a,prepend:/b,add:1:/c,ins:1:/d", MountKind::first),
		    "append /a=ro*; insert 0 /b=ro*; insert 1 /c=ro*; insert 1 /d=ro*");
	EXPECT_TEXT(change("br:/x,del:/x", MountKind::first),
		    "-22 a mount gets its branches by br, append, prepend and add, "
		    "not by option 'del'");
	for (const char *option : {"detach:/x", "mod:/x=ro", "replace:/x=/y", "del=/x"})
		EXPECT_ERRNO(change(Text("br:/x,") + option, MountKind::first), EINVAL);
	EXPECT_TEXT(change("append:/a,br:/b", MountKind::first),
		    "-22 append given before option 'br'");
	EXPECT_TEXT(change("add:0:/a,append:/b,dirs:/c", MountKind::first),
		    "-22 branches changed before option 'dirs'");
	EXPECT_ERRNO(change("prepend:/a,br:/b"), EINVAL);
	EXPECT_ERRNO(change("append:/a,add:0:/b,br:/c"), EINVAL);
}

/* Changes of branches by number, which the original does not have yet either. */
TEST(by_number)
{
	EXPECT_TEXT(change("idel:1"), "-22 not possible here: option 'idel' "
				      "(a branch is named by its path, as in del:/path)");
	EXPECT_TEXT(change("imod:1:ro"), "-22 not possible here: option 'imod' "
					 "(a branch is named by its path, as in mod:/path=ro)");
	EXPECT_ERRNO(change("idel:1", MountKind::first), EINVAL);
}

TEST(which_options_change_branches)
{
	unsigned int count = 0;

	for (int key = 0; key <= static_cast<int>(OptionKey::replace); key++)
		count += changes_branches(static_cast<OptionKey>(key));
	EXPECT_EQ(count, 7U);
	EXPECT(!changes_branches(OptionKey::branches) && !changes_branches(OptionKey::nothing));
}

TEST(no_value)
{
	for (OptionKey key : {OptionKey::add, OptionKey::append, OptionKey::prepend, OptionKey::del,
			      OptionKey::detach, OptionKey::mod, OptionKey::replace}) {
		BranchChanges changes(key, {}, 1);
		char buffer[8];
		OptionError error;

		EXPECT(changes.more());
		EXPECT_EQ(changes.next(buffer, sizeof(buffer), error).error(), -EINVAL);
		EXPECT_TEXT(describe(error), "no branch given");
		EXPECT(!changes.more());
	}
}

TEST(buffers)
{
	Text longest = "/" + Text(path_size - 2, 'x');

	EXPECT_TEXT(change("del:" + longest), "remove " + longest);
	EXPECT_TEXT(change("replace:" + longest + "=" + longest),
		    "replace " + longest + " " + longest + "=ro*");
	for (const char *start : {"del:", "add:1:", "prepend:", "replace:/a=", "replace:/a=/b="})
		EXPECT_EQ(StringView(change(start + longest + "x")).starts_with("-36 "),
			  strcmp(start, "replace:/a=/b=") != 0);
	EXPECT_ERRNO(change("mod:" + longest + "x=ro"), ENAMETOOLONG);
	EXPECT_ERRNO(change("replace:" + longest + "x=/a"), ENAMETOOLONG);

	/* There is room for both paths and their zeros, and for no byte more. */
	for (StringView::Size size = 0; size < 10; size++) {
		char buffer[10] = {'!', '!', '!', '!', '!', '!', '!', '!', '!', '!'};
		OptionError error;
		auto result =
			BranchChanges(OptionKey::replace, "/ab=/cd", 1).next(buffer, size, error);

		EXPECT_EQ(result.ok(), size >= 8);
		if (!result.ok())
			EXPECT_EQ(result.error(), -ENAMETOOLONG);
		for (StringView::Size i = size < 8 ? size : 8; i < 10; i++)
			EXPECT_EQ(buffer[i], '!');
		if (result.ok())
			EXPECT_EQ(StringView(buffer, 8), StringView("/ab\0/cd\0"));
	}
}
