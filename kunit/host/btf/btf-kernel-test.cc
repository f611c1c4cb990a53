// SPDX-License-Identifier: GPL-2.0-only
/*
 * observers::Btf reads all of a stock kernel's BTF, beside another reader: btf-kernel BTF EXPECTED [STEP]. EXPECTED is
 * the output of btf-expected. Each line of it is compared, or one in STEP lines.
 */
#include "btf-reader.hh"
#include "check.hh"

using cxxrt::StringView;

namespace
{

Text contents(const char *path)
{
	static char buffer[1 << 24];
	FILE *file = fopen(path, "re");
	StringView::Size size = file ? fread(buffer, 1, sizeof(buffer), file) : 0;

	if (!file || size == 0 || size == sizeof(buffer)) {
		perror(path);
		exit(1);
	}
	fclose(file);
	return StringView(buffer, size);
}

/* Takes the text before @end from the front of @text, or all. */
StringView take(StringView &text, char end)
{
	const void *found = memchr(text.data(), end, text.size());
	StringView::Size size = found ? static_cast<StringView::Size>(
						static_cast<const char *>(found) - text.data()) :
					text.size();
	StringView taken = text.substr(0, size);

	text = text.substr(found ? size + 1 : size);
	return taken;
}

const BtfReader *kernel;
const Text *expected;
int step = 1;

/* Compares the lines of @letter with the answers of @ask for the names in them. */
template <class Ask> void compare(char letter, Ask &&ask)
{
	StringView lines = *expected;
	int number = 0;
	int compared = 0;

	while (!lines.empty()) {
		StringView line = take(lines, '\n');
		StringView rest = line;

		if (number++ % step || take(rest, '\t') != StringView(&letter, 1))
			continue;
		compared++;

		Text got = ask(rest);

		if (rest == got)
			continue;
		if (check::failures++ < 5) {
			check::show("line", line);
			check::show("got", got);
		}
	}
	printf("# %d compared\n", compared);
	EXPECT(compared > 1000);
}

} // namespace

TEST(prototypes)
{
	compare('f', [](StringView &rest) { return kernel->prototype(take(rest, '\t')); });
}

TEST(sizes)
{
	compare('s',
		[](StringView &rest) { return Text::number(kernel->size_of(take(rest, '\t'))); });
}

TEST(members)
{
	compare('m', [](StringView &rest) {
		StringView record = take(rest, '\t');
		StringView member = take(rest, '\t');

		return Text::number(kernel->offset_of(record, member));
	});
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 1;
	if (argc > 3)
		step = atoi(argv[3]);

	Text lines = contents(argv[2]);
	BtfReader reader(contents(argv[1]));

	kernel = &reader;
	expected = &lines;
	return check::run_all();
}
