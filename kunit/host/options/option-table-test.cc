// SPDX-License-Identifier: GPL-2.0-only
/* The table of options: each name with its values, and the messages about it. */
#include <initializer_list>

#include "expect.hh"

using namespace aufs;

namespace
{

/*
 * Gives @options to one mount. Returns the names of the settings that they change, "-" for those without effect. Then
 * come the messages about those, or the error of the first that is refused.
 */
Text accept(std::initializer_list<const char *> options, MountKind kind = MountKind::first,
	    bool read_only = false)
{
	static constexpr const char *names[] = {"-",	   "set", "udba",   "br",  "append", "add",
						"prepend", "del", "detach", "mod", "replace"};
	OptionSet set(kind);
	Text all;
	Settings settings;
	OptionError error;
	char notes[900];

	for (const char *option : options) {
		RawOption raw(StringView::from_c_string(option));
		Result<OptionKey> key = set.accept(raw, settings, error);

		if (!key.ok())
			return Text::number(key.error()) + " " + describe(error);
		all += Text(all.empty() ? "" : " ") + names[static_cast<int>(key.value())];
	}
	if (auto finished = set.finish(read_only, settings, error); !finished.ok())
		return Text::number(finished.error()) + " " + describe(error);

	StringView said(notes, set.describe_notes(notes, sizeof(notes)));

	EXPECT_EQ(set.has_notes(), !said.empty());
	return said.empty() ? all : all + "; " + said;
}

} // namespace

TEST(lists)
{
	EXPECT_TEXT(accept({"br=/a"}), "br");
	EXPECT_TEXT(accept({"br:/a"}), "br");
	EXPECT_TEXT(accept({"dirs=/a"}), "br");
	EXPECT_TEXT(accept({"append=/a"}), "append");
	EXPECT_TEXT(accept({"br=", "append=", "append:/a"}), "br append append");
	EXPECT_TEXT(accept({"br"}), "-22 no branches given with option 'br'");
	EXPECT_ERRNO(accept({"dirs"}), EINVAL);
	EXPECT_ERRNO(accept({"append"}), EINVAL);
}

TEST(unknown_options)
{
	EXPECT_TEXT(accept({"xyno=/x"}), "-22 unknown option 'xyno' (the nearest known is 'xino')");
	EXPECT_TEXT(accept({"drectory"}),
		    "-22 unknown option 'drectory' (the nearest known is 'create')");
	EXPECT_TEXT(accept({"b=1"}), "-22 unknown option 'b' (the nearest known is 'br')");
	EXPECT_TEXT(accept({"creat=1"}),
		    "-22 unknown option 'creat' (the nearest known is 'create')");
	EXPECT_TEXT(accept({"creaet=1"}),
		    "-22 unknown option 'creaet' (the nearest known is 'create')");
	EXPECT_TEXT(accept({"copyup_polcy"}),
		    "-22 unknown option 'copyup_polcy' (the nearest known is 'copyup_policy')");
	EXPECT_TEXT(accept({"notrunk_xino"}),
		    "-22 unknown option 'notrunk_xino' (the nearest known is 'notrunc_xino')");
	EXPECT_TEXT(accept({"ssum"}), "-22 unknown option 'ssum' (the nearest known is 'sum')");
	EXPECT_TEXT(accept({"z"}), "-22 unknown option 'z' (the nearest known is 'v')");
	/* Only the beginning of a long name counts. */
	EXPECT_TEXT(accept({"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxcopyup_policy"}),
		    "-22 unknown option 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxcopyup_policy' "
		    "(the nearest known is 'xino')");
	for (const char *key : {"=", "", "BR=/a", "br =/a", "noxinos", "\\sum"})
		EXPECT_ERRNO(accept({key}), EINVAL);

	static char long_name[5001];

	memset(long_name, 'x', sizeof(long_name) - 1);
	EXPECT_ERRNO(accept({long_name}), EINVAL);
}

TEST(settings)
{
	EXPECT_TEXT(accept({"create=tdp", "create_policy:rr", "cpup=bu", "copyup=bu",
			    "copyup_policy=bu", "sum", "nosum", "wsum", "nowsum", "share_rw",
			    "diropq=a", "noshwh", "br="}),
		    "set set set set set set set set set set set set br");
	EXPECT_TEXT(accept({"create"}), "-22 no policy given with option 'create'");
	EXPECT_TEXT(accept({"copyup"}), "-22 no policy given with option 'copyup'");
	EXPECT_TEXT(accept({"sum="}), "-22 no value goes with option 'sum'");
	EXPECT_ERRNO(accept({"nosum=1"}), EINVAL);
	EXPECT_ERRNO(accept({"share_rw:"}), EINVAL);
}

/* All options of the original: each is known, and has its own kind of value. */
TEST(options_without_effect)
{
	EXPECT_TEXT(
		accept({"dirperm1", "xino=/x", "noxino", "sum", "dio"}),
		"- - - set -; options without effect: xino, noxino (inode numbers need no table), "
		"dio, dirperm1 (it is always so)");
	for (const char *option : {"xino=/x",
				   "xino:/x",
				   "noxino",
				   "trunc_xino",
				   "trunc_xino=/x",
				   "trunc_xino_v=1:2",
				   "trunc_xino_path=/x",
				   "trunc_xino_path:/x",
				   "notrunc_xino",
				   "itrunc_xino=1",
				   "trunc_xib",
				   "notrunc_xib",
				   "rdblk=512",
				   "rdblk=def",
				   "rdhash=32",
				   "rdhash=def",
				   "rdcache=10",
				   "dirwh=3",
				   "dio",
				   "acl",
				   "plink",
				   "dirperm1",
				   "clean_plink",
				   "list_plink",
				   "warn_perm",
				   "nowarn_perm",
				   "verbose",
				   "v",
				   "noverbose",
				   "quiet",
				   "q",
				   "silent",
				   "droplvl=1",
				   "droplvl=-1",
				   "droplvl=2",
				   "droplvl=-2",
				   "droplvl=3",
				   "droplvl=-3",
				   "ephemeral",
				   "debug=1",
				   "delete=all",
				   "delete=whiteout",
				   "imap=x"}) {
		if (!StringView(accept({option})).starts_with("-; options without effect: "))
			check::fail(__FILE_NAME__, __LINE__, option);
	}
	for (const char *option : {"si=0123abcd", "nodirren", "relatime", "nodlgt"})
		EXPECT_TEXT(accept({option}), "-");
	for (const char *option :
	     {"xino", "xino=", "noxino=", "itrunc_xino=x", "itrunc_xino", "rdblk=", "rdblk=x",
	      "rdhash=-1", "rdcache=1k", "dirwh", "dio=1", "v=1", "udba", "udba=", "udba=x",
	      "udba=none, reval", "udba=no", "si", "diropq=x"})
		EXPECT_ERRNO(accept({option}), EINVAL);
	for (const char *option :
	     {"trunc_xino_path", "trunc_xino_path=", "droplvl", "droplvl=", "droplvl=0",
	      "droplvl=4", "droplvl=-4", "droplvl=11", "ephemeral=1"})
		EXPECT_ERRNO(accept({option}), EINVAL);
	EXPECT_TEXT(
		accept({"trunc_xino_path=/x", "ephemeral", "droplvl=3"}),
		"- - -; options without effect: trunc_xino_path (inode numbers need no table), "
		"droplvl, ephemeral (features stay, and udba and noatime are asked for by name)");
	EXPECT_TEXT(accept({"droplvl=4"}),
		    "-22 unknown value '4' in 'droplvl' (known are 1, 2, 3, -1, -2, -3)");
	EXPECT_TEXT(accept({"udba=no"}), "-22 unknown value 'no' in 'udba' "
					 "(known are none, reval, notify, fsnotify)");
	EXPECT_TEXT(accept({"dirwh=many"}), "-22 no number 'many' in 'dirwh'");
}

/* Options that ask for the opposite of what aufs does. They do no harm in a union that is read-only from then on. */
TEST(opposites)
{
	EXPECT_TEXT(accept({"noplink"}),
		    "-22 not possible here: option 'noplink' (hard links stay one file)");
	for (const char *option : {"nodio", "noacl", "noplink", "nodirperm1"}) {
		EXPECT_ERRNO(accept({option}, MountKind::first, true), EINVAL);
		EXPECT_ERRNO(accept({option}, MountKind::remount, false), EINVAL);
		EXPECT_TEXT(accept({option}, MountKind::remount, true), "-");
	}
}

TEST(refused)
{
	for (const char *option : {"fhsm_sec=1", "dirren"})
		EXPECT_ERRNO(accept({option}, MountKind::remount, true), EINVAL);
	for (const char *option : {"idel:1", "imod:1=ro"}) {
		EXPECT_ERRNO(accept({option}), EINVAL);
		EXPECT_ERRNO(accept({option}, MountKind::remount, true), EINVAL);
	}
}

/* A first mount has no branches that could go. In a remount branches come and go. */
TEST(changes)
{
	for (const char *option :
	     {"add:1:/a", "add=1:/a", "ins:1:/a=rr", "prepend:/a", "append:/a"}) {
		EXPECT(!StringView(accept({option})).starts_with("-"));
		EXPECT(!StringView(accept({option}, MountKind::remount)).starts_with("-"));
	}
	for (const char *option : {"del:/a", "del=/a", "mod:/a=ro", "detach:/a", "replace=/a=/b"}) {
		EXPECT_ERRNO(accept({option}), EINVAL);
		EXPECT(!StringView(accept({option}, MountKind::remount)).starts_with("-"));
	}
	EXPECT_TEXT(accept({"del:/a"}), "-22 a mount gets its branches by br, append, prepend and "
					"add, not by option 'del'");
}

/* As mount.cc shows them. */
static Text shown(const Settings &settings)
{
	static constexpr const char *sums[] = {"", " sum", " wsum"};
	Text text(create_policy_name(settings.create));

	if (has_watermark(settings.create))
		text += ":" + Text::number(static_cast<long>(settings.watermark));
	if (has_seconds(settings.create))
		text += ":" + Text::number(settings.mfs_seconds);
	return text + " " + Text(copy_policy_name(settings.copy_up)) +
	       sums[static_cast<int>(settings.sum)] + (settings.share_rw ? " share_rw" : "") +
	       (settings.always_opaque ? " opaque" : "") +
	       (settings.show_whiteouts ? " shwh" : "") +
	       (settings.udba == Udba::none ? Text() : " udba=" + Text(udba_name(settings.udba)));
}

/* The settings after @option was applied to the settings below, or the error. */
static Text applied(const Text &option)
{
	const Settings before = {.watermark = 5,
				 .mfs_seconds = 7,
				 .create = CreatePolicy::mfsrr,
				 .copy_up = CopyPolicy::bup,
				 .sum = Sum::all};
	Settings settings = before;
	OptionError error;
	OptionSet set(MountKind::first);
	auto result = set.accept(RawOption(option), settings, error);

	if (!result.ok()) {
		EXPECT(settings == before);
		return Text::number(result.error()) + " " + describe(error);
	}
	return shown(settings);
}

TEST(create_policies)
{
	EXPECT_TEXT(applied("create=tdp"), "tdp bup sum");
	EXPECT_TEXT(applied("create=rr"), "rr bup sum");
	EXPECT_TEXT(applied("create=mfs"), "mfs:30 bup sum");
	EXPECT_TEXT(applied("create=mfs:0"), "mfs:0 bup sum");
	EXPECT_TEXT(applied("create=mfs:999999999"), "mfs:999999999 bup sum");
	EXPECT_TEXT(applied("create=mfs:x"), "-22 no number of seconds 'x' in 'mfs:x'");
	EXPECT_TEXT(applied("create=pmfs"), "pmfs:30 bup sum");
	EXPECT_TEXT(applied("create=pmfs:5"), "pmfs:5 bup sum");
	EXPECT_TEXT(applied("create=top-down-parent"), "tdp bup sum");
	EXPECT_TEXT(applied("create=round-robin"), "rr bup sum");
	EXPECT_TEXT(applied("create=most-free-space:5"), "mfs:5 bup sum");
	EXPECT_TEXT(applied("create=best"),
		    "-22 unknown create policy 'best' (known are tdp, rr, mfs[:SECONDS], "
		    "mfsrr:BYTES[:SECONDS], pmfs[:SECONDS], pmfsrr:BYTES[:SECONDS], "
		    "tdmfs:BYTES[:SECONDS])");
	for (const char *value :
	     {"", "td", "tdpx", "rr:", "rr:1", "tdp:1", "mfs:", "mfs:-1", "mfs:1s", "mfs: 1",
	      "mfs:1000000000", "MFS", ":1", "mfs:1:2", "pmfs:1:2", "mfs::", "most-free-space:"})
		EXPECT_ERRNO(applied(Text("create=") + value), EINVAL);
}

TEST(watermarks)
{
	for (const char *name : {"mfsrr", "pmfsrr", "tdmfs"}) {
		Text policy = name;

		EXPECT_TEXT(applied(Text("create=") + policy + ":10"), policy + ":10:30 bup sum");
		EXPECT_TEXT(applied(Text("create=") + policy + ":999999999999999999:0"),
			    policy + ":999999999999999999:0 bup sum");
		EXPECT_TEXT(applied(Text("create=") + policy),
			    "-22 no number of bytes in '" + policy + "'");
		EXPECT_TEXT(applied(Text("create=") + policy + ":1k"),
			    "-22 no number of bytes '1k' in '" + policy + ":1k'");
		for (const char *rest : {":", "::", ":1:", ":1:x", ":1:2:3", ":-1", "::1",
					 ":1000000000000000000", ":1:1000000000"})
			EXPECT_ERRNO(applied(Text("create=") + policy + rest), EINVAL);
	}
}

TEST(direct_changes)
{
	EXPECT_TEXT(accept({"udba=none", "udba:reval", "udba=notify", "udba=fsnotify"}),
		    "udba udba udba udba");
	EXPECT_TEXT(applied("udba=reval"), "mfsrr:5:7 bup sum udba=reval");
	EXPECT_TEXT(applied("udba=notify"), "mfsrr:5:7 bup sum udba=notify");
	EXPECT_TEXT(applied("udba=fsnotify"), "mfsrr:5:7 bup sum udba=notify");
	EXPECT_TEXT(applied("udba=none"), "mfsrr:5:7 bup sum");
}

TEST(flags)
{
	EXPECT_TEXT(applied("nosum"), "mfsrr:5:7 bup");
	EXPECT_TEXT(applied("sum"), "mfsrr:5:7 bup sum");
	EXPECT_TEXT(applied("wsum"), "mfsrr:5:7 bup wsum");
	EXPECT_TEXT(applied("share_rw"), "mfsrr:5:7 bup sum share_rw");
	EXPECT_TEXT(applied("shwh"), "mfsrr:5:7 bup sum shwh");
	EXPECT_TEXT(applied("noshwh"), "mfsrr:5:7 bup sum");
	for (const char *value : {"a", "always"})
		EXPECT_TEXT(applied(Text("diropq=") + value), "mfsrr:5:7 bup sum opaque");
	for (const char *value : {"w", "whiteouted"})
		EXPECT_TEXT(applied(Text("diropq=") + value), "mfsrr:5:7 bup sum");
	EXPECT_TEXT(applied("verbose"), "mfsrr:5:7 bup sum");
}

/* The settings of @options, as /proc/mounts shows them. */
static Text shown_after(std::initializer_list<const char *> options)
{
	OptionSet set(MountKind::remount);
	Settings settings;
	OptionError error;
	char text[128];

	for (const char *option : options)
		EXPECT(set.accept(RawOption(StringView::from_c_string(option)), settings, error)
			       .ok());

	return StringView(text, describe_settings(settings, text, sizeof(text)));
}

TEST(what_is_shown)
{
	EXPECT_TEXT(shown_after({}), "");
	EXPECT_TEXT(shown_after({"create=mfs:7", "udba=reval", "sum", "create=tdp", "udba=none",
				 "nosum", "shwh", "noshwh", "diropq=a", "diropq=w"}),
		    "");
	EXPECT_TEXT(
		shown_after({"udba=fsnotify", "share_rw", "shwh", "diropq=always", "wsum",
			     "copyup=bottom-up-parent",
			     "create:pmfsrr:999999999999999999:999999999"}),
		",create=pmfsrr:999999999999999999:999999999,cpup=bup,wsum,diropq=a,shwh,share_rw,"
		"udba=notify");
	EXPECT_TEXT(shown_after({"create=mfs"}), ",create=mfs");
	EXPECT_TEXT(shown_after({"create=mfs:0", "sum"}), ",create=mfs:0,sum");
	EXPECT_TEXT(shown_after({"create=mfsrr:10:30"}), ",create=mfsrr:10");
	/* An earlier remount may have left these values. */
	char text[128];
	const Settings mixed = {.watermark = 5, .mfs_seconds = 7, .create = CreatePolicy::rr};
	EXPECT_TEXT(StringView(text, describe_settings(mixed, text, sizeof(text))), ",create=rr");
}

/* Whiteouts are shown so that they can be seen, not changed. */
TEST(shown_whiteouts)
{
	EXPECT_TEXT(accept({"shwh"}), "-22 not possible unless read-only: option 'shwh' "
				      "(who sees a whiteout could remove it)");
	EXPECT_ERRNO(accept({"shwh"}, MountKind::remount, false), EINVAL);
	EXPECT_TEXT(accept({"shwh"}, MountKind::first, true), "set");
	EXPECT_TEXT(accept({"shwh", "noshwh"}), "set set");
}

TEST(copy_policies)
{
	EXPECT_TEXT(applied("cpup=tdp"), "mfsrr:5:7 tdp sum");
	EXPECT_TEXT(applied("cpup=bup"), "mfsrr:5:7 bup sum");
	EXPECT_TEXT(applied("cpup=bu"), "mfsrr:5:7 bu sum");
	EXPECT_TEXT(applied("cpup=rr"), "-22 unknown copy-up policy 'rr' (known are tdp, bup, bu)");
	EXPECT_TEXT(applied("cpup=top-down-parent"), "mfsrr:5:7 tdp sum");
	EXPECT_TEXT(applied("cpup=bottom-up-parent"), "mfsrr:5:7 bup sum");
	EXPECT_TEXT(applied("cpup=bottom-up"), "mfsrr:5:7 bu sum");
	for (const char *value : {"", "b", "bupx", "bu:", "BU"})
		EXPECT_ERRNO(applied(Text("cpup=") + value), EINVAL);
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
