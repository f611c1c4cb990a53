// SPDX-License-Identifier: GPL-2.0-only
/* Laws of changes of branches, over all short texts and many random ones: see options-property-test.cc. */
#include "grammar.hh"
#include "random.hh"

using namespace aufs;
using model::change_keys;
using model::report;

namespace
{

/* Whether the parser and the model agree on @text as the value of @key. */
void compare(OptionKey key, StringView text, int &right, int &wrong)
{
	Text got = model::canonical_changes(key, text);
	bool comes = key == OptionKey::add || key == OptionKey::append || key == OptionKey::prepend;

	if (StringView(got) != model::read_changes(key, text) ||
	    (comes && StringView(model::canonical_changes(key, text, 0)) !=
			      model::read_changes(key, text, true)))
		report("the parser and the model disagree", text);
	got.empty() ? wrong++ : right++;
}

} // namespace

TEST(all_short_changes_agree_with_the_model)
{
	int right = 0;
	int wrong = 0;

	for (OptionKey key : change_keys) {
		/* Lists are compared in a test of their own. */
		bool list = key == OptionKey::append || key == OptionKey::prepend;

		model::for_all_texts("\\134,:=a0", list ? 3 : 5,
				     [key, &right, &wrong](StringView text) {
					     compare(key, text, right, wrong);
				     });
	}
	printf("# %d changes were right, %d wrong\n", right, wrong);
	EXPECT(right > 10000 && wrong > 10000);
}

TEST(random_changes_agree_with_the_model)
{
	Random random(6);
	int right[sizeof(change_keys) / sizeof(change_keys[0])] = {};
	int wrong = 0;
	static constexpr StringView pieces[] = {"/a",	    "/b",   "\\134", "\\\\",  "\\,",
						"\\:",	    "\\=",  "=rw",   "=ro",   "=rr",
						":",	    ":/",   "\\040", ",",     "=r",
						"\\",	    "=/b",  "=/b=",  "+icex", "+coo_",
						"+coo_reg", "+owh", "1",     "0",     "214748364",
						"+nolwh"};
	/* Usual beginnings of a change. */
	static constexpr StringView starts[] = {
		"",	   "",	    "1:",	    "0:/a=rw",
		"/a=/b",   "/a=ro", "2147483647:/", "2147483648:/a",
		"00:/a",   "/a:/b", "/x\\=y",	    "12345:b",
		"1:/a:/b", "-1:/a", "1=/a",	    "99999999999:/a"};

	for (int i = 0; i < 100000; i++) {
		int key = i % static_cast<int>(sizeof(right) / sizeof(right[0]));
		Text text = starts[random.below(sizeof(starts) / sizeof(starts[0]))];

		for (unsigned int left = random.below(6); left; left--)
			text += pieces[random.below(sizeof(pieces) / sizeof(pieces[0]))];
		compare(change_keys[key], text, right[key], wrong);
	}
	for (int count : right) {
		printf("# %d changes were right\n", count);
		EXPECT(count > 500);
	}
}
