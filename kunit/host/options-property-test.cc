// SPDX-License-Identifier: GPL-2.0-only
/*
 * Laws of aufs's option syntax, over all short texts and many random ones. The random numbers are
 * the same in each run; the fuzzer is there for others.
 */
#include <ctype.h>
#include <initializer_list>
#include <mntent.h>

#include "check.hh"
#include "model.hh"
#include "random.hh"

using namespace aufs;
using Size = StringView::Size;

namespace
{

/* Mostly the bytes that mean something somewhere, sometimes any byte but zero. */
Text random_path(Random &random, unsigned int most)
{
	static constexpr StringView special = "\\,:=\\,:=\\134\\040 \t\n\"#+/axn7";
	Text path = "/";

	for (unsigned int left = random.below(most); left; left--) {
		if (random.below(8))
			path += special[random.below(special.size())];
		else
			path += static_cast<char>(1 + random.below(255));
	}
	return path;
}

/* Enough to find the case again; the first ones will do. */
void report(const char *what, StringView text)
{
	if (++check::failures > 5)
		return;
	printf("# %s\n", what);
	check::show("text", text);
}

/* Whether @list is exactly one branch, @path, with the permission "ro". */
bool is_branch(StringView list, StringView path)
{
	static char buffer[path_size];
	BranchList branches(list);
	OptionError error;
	Result<BranchItem> item = branches.next(buffer, sizeof(buffer), error);

	return item.ok() && item.value().path == path && item.value().perm == BranchPerm::ro &&
	       item.value().perm_given && !branches.more();
}

/*
 * The grammar once more, as plain as can be: what stands at the head of a path. The order matters:
 * the first that fits is it. Null where nothing fits.
 */
struct Escape {
	StringView text;
	char byte;
};

constexpr Escape escapes[] = {
	{"\\134\\134", '\\'}, {"\\134,", ','}, {"\\134:", ':'}, {"\\134=", '='}, {"\\134", '\0'},
	{"\\\\", '\\'},	      {"\\,", ','},    {"\\:", ':'},	{"\\=", '='},
};

/* The path at the head of @text, up to an "=", ":" or "," (or the end); false if it is wrong. */
bool model_path(StringView text, Text &path, Size &end)
{
	for (end = 0; end < text.size();) {
		StringView rest = text.substr(end);
		const Escape *found = nullptr;

		for (const Escape &escape : escapes) {
			if (!found && rest.starts_with(escape.text))
				found = &escape;
		}
		if (found && found->byte) {
			path += found->byte;
			end += found->text.size();
			continue;
		}
		if (rest[0] == ':' || rest[0] == '=')
			return true;
		if (rest[0] == '\\') {
			Text byte = found ? Text() : model::unmangle(rest.substr(0, 4));

			if (byte.size() != 1 || !byte[0] || rest.size() < 4)
				return false;
			path += byte;
			end += 4;
			continue;
		}
		path += rest[0];
		end++;
	}
	return true;
}

/* Adds to @out what is shown for @perm: a permission, and attributes that are words. */
bool model_perm(StringView perm, Text &out)
{
	static constexpr StringView classes[] = {"icexsec", "icexsys", "icextr", "icexusr",
						 "icexoth"};
	bool all = false;
	bool regular = false;
	bool missed[5] = {};
	int count = 0;
	StringView rest = perm.substr(perm.size() < 2 ? perm.size() : 2);

	perm = perm.substr(0, perm.size() - rest.size());
	if (perm != "rw" && perm != "ro" && perm != "rr")
		return false;
	while (!rest.empty()) {
		Size end = 1;

		while (end < rest.size() &&
		       (isalnum(static_cast<unsigned char>(rest[end])) || rest[end] == '_'))
			end++;
		if (rest[0] != '+' || end == 1)
			return false;
		all |= rest.substr(1, end - 1) == "coo_all";
		regular |= rest.substr(1, end - 1) == "coo_reg";
		for (int i = 0; i < 5; i++)
			missed[i] |= rest.substr(1, end - 1) == classes[i] ||
				     rest.substr(1, end - 1) == "icex";
		rest = rest.substr(end);
	}
	out += Text("=") + perm;
	if (all || regular)
		out += all ? "+coo_all" : "+coo_reg";
	for (bool one : missed)
		count += one;
	if (count == 5) {
		out += "+icex";
		return true;
	}
	for (int i = 0; i < 5; i++) {
		if (missed[i])
			out += Text("+") + classes[i];
	}
	return true;
}

/* What the model says that canonical() of @text is. */
Text model_canonical(StringView text)
{
	Text out;

	for (bool first = true;; first = false) {
		Text path;
		Size end;

		if (!model_path(text, path, end) || path.empty())
			return {};
		out += model::escape(path);
		text = text.substr(end);
		if (!text.empty() && text[0] == '=') {
			Size colon = 0;

			while (colon < text.size() && text[colon] != ':')
				colon++;

			StringView perm = text.substr(1, colon - 1);

			if (!model_perm(perm, out))
				return {};
			text = text.substr(colon);
		} else {
			out += StringView(first ? "=rw" : "=ro");
		}
		if (text.empty() || text == ":" || text == "::")
			return out;
		text = text.substr(1);
		out += ':';
	}
}

/* Calls @action with each text of up to @most bytes of @alphabet. */
template <class F> void for_all_texts(StringView alphabet, Size most, F action)
{
	char text[16];
	Size digits[16];

	for (Size size = 0; size <= most; size++) {
		for (Size i = 0; i < size; i++) {
			digits[i] = 0;
			text[i] = alphabet[0];
		}
		for (Size at = 0; at < size || !size;) {
			action(StringView(text, size));
			for (at = 0; at < size; at++) {
				digits[at] = (digits[at] + 1) % alphabet.size();
				text[at] = alphabet[digits[at]];
				if (digits[at])
					break;
			}
			if (!size)
				break;
		}
	}
}

} // namespace

TEST(escaped_paths_parse_to_themselves)
{
	Random random(1);

	for (int i = 0; i < 20000; i++) {
		Text path = random_path(random, i % 50 ? 20 : 500);

		if (!is_branch(model::escape(path) + "=ro", path))
			report("a path is not what its escaped form parses to", path);
	}
}

TEST(all_short_paths_parse_to_themselves)
{
	for_all_texts("\\134,:=a \"", 5, [](StringView path) {
		if (!path.empty() && !is_branch(model::escape(path) + "=ro", path))
			report("a path is not what its escaped form parses to", path);
	});
}

TEST(escaped_paths_survive_proc_mounts)
{
	Random random(2);

	for (int i = 0; i < 20000; i++) {
		Text path = random_path(random, 20);
		Text escaped = model::escape(path);
		Text line = "none /mnt aufs rw,br=" + escaped + "=ro 0 0\n";
		char buffer[4096];
		mntent entry;

		for (char c : StringView(escaped)) {
			if (c == ' ' || c == '\t' || c == '\n' || c == '"')
				report("an escaped path has a byte that ends a field", path);
		}
		if (!is_branch(model::unmangle(escaped) + "=ro", path))
			report("an escaped path is another one when libmount decoded it", path);

		/* The same with the C library, whose decoding is not libmount's. */
		Text copy = line;
		FILE *file =
			fmemopen(const_cast<char *>(StringView(copy).data()), copy.size(), "r");

		if (!file || !getmntent_r(file, &entry, buffer, sizeof(buffer)) ||
		    !is_branch(StringView::from_c_string(entry.mnt_opts).substr(strlen("rw,br=")),
			       path))
			report("an escaped path is another one when getmntent(3) read it", path);
		if (file)
			fclose(file);
	}
}

TEST(whole_options_survive_mount)
{
	Random random(3);

	for (int i = 0; i < 5000; i++) {
		Text list;
		unsigned int count = 1 + random.below(i % 100 ? 5 : max_branches);

		for (unsigned int branch = 0; branch < count; branch++) {
			static constexpr StringView perms[] = {"=rw", "=ro", "=rr", "=ro+coo_reg",
							       "=rr+coo_all"};

			if (branch)
				list += ':';
			list += model::escape(random_path(random, 10));
			list += perms[random.below(5)];
		}
		if (model::canonical(list) != StringView(list))
			report("a list is not what show_options would write for it", list);
		if (model::mount_option_end("br=" + list) != list.size() + 3)
			report("mount(8) would cut an option in two", list);

		for (const Text &shape : {list, model::unmangle(list)}) {
			Text data = "noatime,br=" + shape + ",br:" + shape + ",x=1";
			MonolithicOptions options(data);
			int found = 0;
			OptionError error;

			while (options.more()) {
				Result<RawOption> option = options.next(error);

				if (!option.ok())
					break;
				found += option.value().key == "br" &&
					 option.value().value == shape;
			}
			if (found != 2)
				report("a list does not come out of mount(2)'s data", data);
		}
	}
}

TEST(all_short_lists_agree_with_the_model)
{
	int right = 0;
	int wrong = 0;

	for_all_texts("\\134,:=a", 6, [&right, &wrong](StringView text) {
		Text got = model::canonical(text);

		if (StringView(got) != model_canonical(text))
			report("the parser and the model disagree", text);
		got.empty() ? wrong++ : right++;
	});
	printf("# %d lists were right, %d wrong\n", right, wrong);
	EXPECT(right > 10000 && wrong > 10000);
}

TEST(random_lists_agree_with_the_model)
{
	Random random(4);
	int right = 0;
	static constexpr StringView pieces[] = {
		"/a",  "b", "\\134", "\\\\",  "\\,", "\\:", "\\=", "=rw", "=ro",
		"=rr", ":", ":/",    "\\040", "134", ",",   "=r",  "\\",  "\\054"};
	static constexpr StringView attributes[] = {"+coo_reg", "+coo_all", "+",       "coo_reg",
						    "+icex",	"+icexsec", "+icextr", "+moo"};

	for (int i = 0; i < 200000; i++) {
		Text list;
		int more = 3;

		for (unsigned int left = random.below(12); left; left--) {
			if (more && !random.below(5)) {
				list += attributes[random.below(8)];
				more--;
				continue;
			}
			list += pieces[random.below(sizeof(pieces) / sizeof(pieces[0]))];
		}

		Text got = model::canonical(list);

		if (StringView(got) != model_canonical(list))
			report("the parser and the model disagree", list);
		right += !got.empty();
	}
	printf("# %d lists were right\n", right);
	EXPECT(right > 1000);
}

int main()
{
	return check::run_all();
}
