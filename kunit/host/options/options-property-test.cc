// SPDX-License-Identifier: GPL-2.0-only
/*
 * Laws of aufs's option syntax, over all short texts and many random ones. The random numbers are the same in each run;
 * the fuzzer uses others.
 */
#include <initializer_list>
#include <mntent.h>

#include "check.hh"
#include "grammar.hh"
#include "random.hh"

using namespace aufs;
using model::for_all_texts;
using model::report;
using Size = StringView::Size;

namespace
{

/* Mostly bytes that have a meaning somewhere, sometimes any byte but zero. */
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

		/* The same by the C library, which decodes in another way than libmount. */
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
		unsigned int count = 1 + random.below(i % 100 ? 5 : 300);

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

		if (StringView(got) != model::read_list(text))
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
	static constexpr StringView attributes[] = {"+coo_reg", "+coo_all", "+owh",	"+",
						    "coo_reg",	"+icex",    "+icexsec", "+icextr",
						    "+moo",	"+nolwh"};

	for (int i = 0; i < 200000; i++) {
		Text list;
		int more = 3;

		for (unsigned int left = random.below(12); left; left--) {
			if (more && !random.below(5)) {
				list += attributes[random.below(10)];
				more--;
				continue;
			}
			list += pieces[random.below(sizeof(pieces) / sizeof(pieces[0]))];
		}

		Text got = model::canonical(list);

		if (StringView(got) != model::read_list(list))
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
