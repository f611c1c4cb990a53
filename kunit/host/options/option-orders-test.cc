// SPDX-License-Identifier: GPL-2.0-only
/*
 * A law of aufs's options: they mean the same in every order, by mount(2) and by fsconfig(2). Their meaning is written
 * down here once more, as plainly as possible.
 */
#include <initializer_list>

#include "check.hh"
#include "model.hh"
#include "options/option_table.hh"
#include "random.hh"

using namespace aufs;
using Size = StringView::Size;

namespace
{

/* One mount or remount that reads options as mount.cc does: their meaning, or the reason of the refusal. */
class Reading
{
public:
	explicit Reading(MountKind kind) : set_(kind)
	{
	}
	bool give(const RawOption &option)
	{
		Result<OptionKey> key = set_.accept(option, settings_, error_);

		if (!key.ok())
			return false;
		if (key.value() == OptionKey::branches || key.value() == OptionKey::append)
			list_ += Text(list_.empty() ? "" : ":") + model::canonical(option.value);
		else if (changes_branches(key.value()))
			return change(key.value(), option.value);
		return true;
	}
	OptionError &error()
	{
		return error_;
	}
	Text refusal() const
	{
		char reason[256];

		return Text("!") + StringView(reason, error_.describe(reason, sizeof(reason)));
	}
	Text meaning(bool read_only)
	{
		char notes[1000];

		if (!set_.finish(read_only, settings_, error_).ok())
			return refusal();
		constexpr const char *sums[] = {"", " sum", " wsum"};
		Text create(create_policy_name(settings_.create));

		if (has_watermark(settings_.create))
			create += ":" + Text::number(static_cast<long>(settings_.watermark));
		return list_ + " " + create + " " + Text::number(settings_.mfs_seconds) + " " +
		       Text(copy_policy_name(settings_.copy_up)) +
		       sums[static_cast<int>(settings_.sum)] +
		       (settings_.share_rw ? " share_rw" : "") +
		       (settings_.always_opaque ? " opaque" : "") +
		       (settings_.show_whiteouts ? " shwh" : "") +
		       (settings_.udba == Udba::none ? Text() :
						       " udba=" + Text(udba_name(settings_.udba))) +
		       " " + StringView(notes, set_.describe_notes(notes, sizeof(notes)));
	}

private:
	bool change(OptionKey key, StringView value)
	{
		static constexpr const char *kinds[] = {"insert", "append", "remove",
							"detach", "modify", "replace"};
		char buffer[BranchChanges::buffer_size];
		BranchChanges changes(key, value, 1);

		while (changes.more()) {
			Result<BranchChange> next = changes.next(buffer, sizeof(buffer), error_);

			if (!next.ok())
				return false;

			const BranchChange &change = next.value();

			list_ += Text(list_.empty() ? "" : ":") +
				 kinds[static_cast<int>(change.kind)] + " " +
				 Text::number(static_cast<long>(change.place)) + " " +
				 Text(change.branch.path) + Text(change.new_path);
			change.branch.write_use([this](StringView piece) { list_ += piece; });
		}
		return true;
	}

	OptionSet set_;
	Settings settings_;
	Text list_; /* the branches, or their changes */
	OptionError error_;
};

/* By mount(2). The parser puts a zero behind each key. */
Text meaning(Text data, MountKind kind, bool read_only)
{
	char *text = const_cast<char *>(StringView(data).data());
	MonolithicOptions options(data);
	Reading reading(kind);

	while (options.more()) {
		Result<RawOption> option = options.next(reading.error());

		if (!option.ok())
			return reading.refusal();

		const RawOption &raw = option.value();
		char *end = text + (raw.key.data() - text) + raw.key.size();

		if (end < text + data.size())
			*end = '\0';
		if (!reading.give(raw))
			return reading.refusal();
	}
	return reading.meaning(read_only);
}

/* By fsconfig(2): mount(8) cuts each option at its first `=`. */
template <unsigned int count>
Text meaning_by_fsconfig(const StringView (&words)[count], unsigned int given, MountKind kind,
			 bool read_only)
{
	Reading reading(kind);

	for (StringView word : words) {
		Size cut = 0;

		if (!given--)
			break;
		while (cut < word.size() && word[cut] != '=')
			cut++;

		RawOption option(word.substr(0, cut));
		Text joined = option.value;

		if (cut < word.size()) {
			joined += Text(option.has_value ? "=" : "");
			joined += word.substr(cut + 1);
			option.has_value = true;
		}
		option.value = joined;
		if (!reading.give(option))
			return reading.refusal();
	}
	return reading.meaning(read_only);
}

/*
 * The options once more, as plainly as possible: their text, and the setting or the message that they lead to. A mount
 * has at most one option of a slot.
 */
struct Written {
	StringView text;
	const char *means;
	bool remount_only = false;
};

constexpr unsigned int slot_count = 8;
constexpr unsigned int most_written = 18;
constexpr Written slots[slot_count][most_written] = {
	{
		{"create=tdp", "tdp 30"},
		{"create:top-down-parent", "tdp 30"},
		{"create_policy=rr", "rr 30"},
		{"create_policy:round-robin", "rr 30"},
		{"create=mfs", "mfs 30"},
		{"create:mfs:7", "mfs 7"},
		{"create_policy=most-free-space:8", "mfs 8"},
		{"create=mfsrr:100", "mfsrr:100 30"},
		{"create:pmfs:9", "pmfs 9"},
		{"create=pmfsrr:1000000000000:0", "pmfsrr:1000000000000 0"},
		{"create_policy:tdmfs:5:6", "tdmfs:5 6"},
	},
	{
		{"cpup=tdp", "tdp"},
		{"copyup:top-down-parent", "tdp"},
		{"copyup_policy=bup", "bup"},
		{"cpup:bottom-up-parent", "bup"},
		{"copyup=bu", "bu"},
		{"copyup_policy:bottom-up", "bu"},
	},
	{
		{"sum", " sum"},
		{"nosum", ""},
		{"wsum", " wsum"},
		{"nowsum", ""},
	},
	{
		{"share_rw", " share_rw"},
	},
	{
		{"diropq=a", " opaque"},
		{"diropq:always", " opaque"},
		{"diropq=whiteouted", ""},
	},
	{
		{"shwh", " shwh"},
		{"noshwh", ""},
	},
	{
		{"udba=none", ""},
		{"udba:reval", " udba=reval"},
		{"udba=notify", " udba=notify"},
		{"udba=fsnotify", " udba=notify"},
	},
	{
		{"br=/a=rw:/b\\,c=ro", "/a=rw:/b\\,c=ro"},
		{"br:/a=rw:/b\\,c", "/a=rw:/b\\,c=ro"},
		{"dirs=/a:/b\\,c=ro+wh:", "/a=rw:/b\\,c=ro"},
		{"dirs:/a=rw:/b\\,c=ro::", "/a=rw:/b\\,c=ro"},
		{"br:/a\\=b=rr+coo_all", "/a\\=b=rr+coo_all"},
		{"append=/a:/b=rw", "/a=rw:/b=rw"},
		{"append:/x=r+coo_reg+moo", "/x=ro+coo_reg"},
		{"prepend:/x:/y=rr", "insert 0 /x=ro:insert 1 /y=rr"},
		{"prepend=/x=rw:", "insert 0 /x=rw"},
		{"add:0:/x", "insert 0 /x=ro"},
		{"ins=0:/x=rw+nolwh", "insert 0 /x=rw+nolwh"},
		{"del:/a", "remove 0 /a=ro", true},
		{"del=/a\\,b", "remove 0 /a,b=ro", true},
		{"detach:/a", "detach 0 /a=ro", true},
		{"mod:/a=rr", "modify 0 /a=rr", true},
		{"mod=/a=rw+coo_reg", "modify 0 /a=rw+coo_reg", true},
		{"replace:/a=/b", "replace 0 /a/b=ro", true},
		{"replace=/a=/b=rr", "replace 0 /a/b=rr", true},
	},
};

/* In the module's order of messages: options with the same reason stand together. */
struct Said {
	StringView name;
	StringView text;
	const char *reason;
};

constexpr Said said[] = {{"xino", "xino=/dev/shm/.xino", "inode numbers need no table"},
			 {"noxino", "noxino", "inode numbers need no table"},
			 {"trunc_xino", "trunc_xino:/x=1", "inode numbers need no table"},
			 {"trunc_xino_path", "trunc_xino_path=/x", "inode numbers need no table"},
			 {"rdblk", "rdblk:512", "directories are read without such limits"},
			 {"rdhash", "rdhash=def", "directories are read without such limits"},
			 {"dio", "dio", "it is always so"},
			 {"dirperm1", "dirperm1", "it is always so"},
			 {"clean_plink", "clean_plink", "pseudo-links need no care"},
			 {"nowarn_perm", "nowarn_perm", "there is no such warning"},
			 {"verbose", "v", "messages are the same for all"},
			 {"quiet", "silent", "messages are the same for all"},
			 {"droplvl", "droplvl:-1",
			  "features stay, and udba and noatime are asked for by name"},
			 {"", "si=00ff", ""},
			 {"", "relatime", ""}};

/* Options that are refused anywhere, with any others. */
constexpr StringView wrong[] = {"xyno=/x",     "sum=1",	      "noplink=1", "udba=sometimes",
				"create=best", "fhsm_sec=1",  "add:/a",	   "del:/a=ro",
				"dirren",      "itrunc_xino", "=x",	   "replace:/a=",
				"detach:",     "idel:1",      "mod:/a",	   "prepend:/a=/b"};

/* Options that only a remount accepts which ends read-only. */
constexpr StringView opposite[] = {"noplink", "nodio", "noacl", "nodirperm1"};

/* Some options, and their meaning together. */
struct Choice {
	static constexpr unsigned int most = 6;

	StringView words[most];
	unsigned int count = 0;
	Text means; /* empty if they are refused */

	void add(StringView word)
	{
		words[count++] = word;
	}
	Choice(Random &random, MountKind kind, bool read_only);
};

Choice::Choice(Random &random, MountKind kind, bool read_only)
{
	Text set[slot_count] = {"tdp 30", "tdp"};
	bool notes[sizeof(said) / sizeof(said[0])] = {};
	bool right = true;
	unsigned int wanted = 2 + random.below(most - 1);

	for (unsigned int slot = 0; slot < slot_count && count < wanted; slot++) {
		unsigned int written = 0;

		while (written < most_written && !slots[slot][written].text.empty())
			written++;
		if (random.below(2))
			continue;
		const Written &chosen = slots[slot][random.below(written)];

		add(chosen.text);
		set[slot] = chosen.means;
		/* Only for a read-only union. */
		right = right && (read_only || !(chosen.text == "shwh"));
		right = right && (kind == MountKind::remount || !chosen.remount_only);
	}
	if (count < wanted && !random.below(6)) {
		add(wrong[random.below(sizeof(wrong) / sizeof(wrong[0]))]);
		right = false;
	}
	if (count < wanted && !random.below(6)) {
		add(opposite[random.below(4)]);
		right = right && kind == MountKind::remount && read_only;
	}
	for (unsigned int tries = 0; count < wanted && tries < 4; tries++) {
		unsigned int note = random.below(sizeof(said) / sizeof(said[0]));

		if (notes[note])
			continue;
		notes[note] = true;
		add(said[note].text);
	}
	if (!right)
		return;
	means = set[slot_count - 1] + " " + set[0] + " ";
	for (unsigned int slot = 1; slot + 1 < slot_count; slot++)
		means += set[slot];
	means += " ";

	const char *reason = nullptr;

	for (const Said &note : said) {
		if (!notes[&note - said] || note.name.empty())
			continue;
		if (reason && strcmp(reason, note.reason))
			means += Text(" (") + reason + ")";
		means += Text(reason ? ", " : "options without effect: ") + note.name;
		reason = note.reason;
	}
	if (reason)
		means += Text(" (") + reason + ")";
}

/* Calls @action with @words, of which only the first @count are given, in every order. */
template <unsigned int most, class F>
void for_all_orders(StringView (&words)[most], unsigned int count, F action, unsigned int at = 0)
{
	if (at == count)
		return action(words);
	for (unsigned int i = at; i < count; i++) {
		StringView first = words[i];

		words[i] = words[at];
		words[at] = first;
		for_all_orders(words, count, action, at + 1);
		words[at] = words[i];
		words[i] = first;
	}
}

} // namespace

TEST(options_mean_the_same_in_every_order_and_by_each_call)
{
	Random random(5);
	int right = 0;
	int wrong_ones = 0;

	for (int i = 0; i < 600; i++) {
		MountKind kind = random.below(2) ? MountKind::first : MountKind::remount;
		bool read_only = random.below(2);
		Choice choice(random, kind, read_only);

		choice.means.empty() ? wrong_ones++ : right++;
		for_all_orders(choice.words, choice.count, [&](const StringView(&order)[6]) {
			Text data;

			for (unsigned int at = 0; at < choice.count; at++)
				data += Text(at ? "," : "") + order[at];

			Text by_mount = meaning(data, kind, read_only);
			Text by_fsconfig =
				meaning_by_fsconfig(order, choice.count, kind, read_only);

			for (const Text &got : {by_mount, by_fsconfig}) {
				if (choice.means.empty() ?
					    StringView(got).starts_with("!") :
					    StringView(got) == StringView(choice.means))
					continue;
				if (++check::failures > 5)
					return;
				check::show("options", data);
				check::show("mean", got);
				check::show("and not", choice.means);
			}
		});
	}
	printf("# %d sets of options were right, %d wrong\n", right, wrong_ones);
	EXPECT(right > 200 && wrong_ones > 50);
}
