// SPDX-License-Identifier: GPL-2.0-only
/* btf-seeds DIRECTORY: writes the first inputs of fuzz-btf. */
#include "btf-builder.hh"

using btf::Builder;
using btf::Id;
using btf::Kind;
using cxxrt::StringView;

namespace
{

void write(const char *directory, const char *name, StringView data)
{
	Text path = StringView::from_c_string(directory);

	path += "/";
	path += StringView::from_c_string(name);
	path += '\0';

	FILE *file = fopen(StringView(path).data(), "we");

	if (!file || fwrite(data.data(), 1, data.size(), file) != data.size() || fclose(file)) {
		perror(StringView(path).data());
		exit(1);
	}
}

/* Both forms that fuzz-btf.cc reads: all bytes, and those without the header. */
void write_both(const char *directory, const char *name, const Builder &builder)
{
	Text data = builder.data();
	Text body = Text("\1") + Text(1, static_cast<char>(builder.strings_size()));

	body += StringView(data).substr(Builder::header_size);
	write(directory, StringView(Text(name) + "-body" + Text(1, '\0')).data(), body);
	write(directory, StringView(Text(name) + "-data" + Text(1, '\0')).data(),
	      Text(2, '\0') + data);
}

} // namespace

int main(int argc, char **argv)
{
	if (argc != 2)
		return 1;

	Builder kinds;

	kinds.add_all_kinds();
	write_both(argv[1], "kinds", kinds);

	Builder functions;
	Id integer = functions.integer("int");
	Id constant = functions.pointer(functions.refer(Kind::const_of, functions.integer("char")));
	Id file = functions.pointer(functions.add(Kind::forward, "file", 0));
	Id call = functions.pointer(functions.prototype(integer, {constant, 0}));

	functions.function("f", integer, {file, call, integer});
	functions.function("g", constant, {});
	write_both(argv[1], "functions", functions);

	Builder records;
	Id either = records.record(Kind::union_of, "", 8, {{"b", 0, 0}, {"c", 0, 32}});
	Id bits = records.record(Kind::structure, "", 4, {{"d", 0, 1U << 24 | 8}}, true);

	records.structure("s", {{"a", 0, 0}, {"", either, 64}, {"", bits, 128}});
	write_both(argv[1], "records", records);
	return 0;
}
