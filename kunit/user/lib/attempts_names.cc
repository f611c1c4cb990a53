// SPDX-License-Identifier: GPL-2.0-only
//
// Attempts to make, remove and rename objects.

#include "attempt_parts.hh"

static void nothing(const string &, const string &)
{
}

/* A file that was removed through the union: a whiteout hides it. */
static void removed_file(const string &top, const string &low)
{
	make_dressed(low + "/file");
	write_file(top + "/.wh.file", "");
}

static void removed_directory(const string &top, const string &low)
{
	make_dir(low + "/sub");
	make_dressed(low + "/sub/file");
	write_file(top + "/.wh.sub", "");
}

static void lower_and_removed(const string &top, const string &low)
{
	make_dressed(low + "/file");
	make_dressed(low + "/to", "another one");
	write_file(top + "/.wh.to", "");
}

static int create_file(const char *path)
{
	return with_file(open(path, O_RDWR | O_CREAT | O_EXCL, 0644), nothing_more);
}

static int create_it(const Scene &s)
{
	return create_file(s.file.c_str());
}

static int make_sub(const Scene &s)
{
	return result_of(mkdir(s.sub.c_str(), 0755));
}

static int link_it(const Scene &s)
{
	return result_of(link(s.file.c_str(), s.to.c_str()));
}

std::span<const Attempt> attempts_to_make()
{
	static constexpr Attempt list[] = {
		{"create", "create open", nothing, create_it, Effect::steps},
		{"create_where_one_was", "create open", removed_file, create_it, Effect::steps},
		{"create_below", "create open",
		 [](const string &, const string &low) { make_dir(low + "/sub"); },
		 [](const Scene &s) { return create_file(s.deep.c_str()); }, Effect::steps},
		{"mkdir", "mkdir", nothing, make_sub, Effect::change},
		{"mkdir_where_one_was", "mkdir", removed_directory, make_sub, Effect::change},
		{"symlink", "symlink", nothing,
		 [](const Scene &s) { return result_of(symlink("target", s.file.c_str())); },
		 Effect::change},
		{"mkfifo", "mknod", nothing,
		 [](const Scene &s) { return result_of(mknod(s.file.c_str(), S_IFIFO | 0644, 0)); },
		 Effect::change},
		{"mknod_where_one_was", "mknod", removed_file,
		 [](const Scene &s) {
			 return result_of(mknod(s.file.c_str(), S_IFCHR | 0600, makedev(1, 7)));
		 },
		 Effect::change},
		{"link", "link", lower_file, link_it, Effect::change},
		{"link_of_a_copy", "link", upper_file, link_it, Effect::change},
		{"link_where_one_was", "link", lower_and_removed, link_it, Effect::change},
		{"tmpfile", "tmpfile open", nothing,
		 [](const Scene &s) {
			 return with_file(open(s.dir.c_str(), O_RDWR | O_TMPFILE, 0644),
					  nothing_more);
		 }},
		{"link_of_a_tmpfile", "link", nothing,
		 [](const Scene &s) {
			 return result_of(linkat(s.fd, "", AT_FDCWD, s.to.c_str(), AT_EMPTY_PATH));
		 },
		 Effect::change,
		 [](Scene &s) {
			 s.fd = open_file(s.dir, O_RDWR | O_TMPFILE);
			 OK(write(s.fd, attempt_text, strlen(attempt_text)));
		 }},
	};
	return list;
}

// ---- removing ----------------------------------------------------------------------------------

static void both_files(const string &top, const string &low)
{
	make_dressed(top + "/file");
	make_dressed(low + "/file", "another one");
}

static void two_upper_names(const string &top, const string &)
{
	make_dressed(top + "/file");
	OK(link((top + "/file").c_str(), (top + "/other").c_str()));
}

static int unlink_it(const Scene &s)
{
	return result_of(unlink(s.file.c_str()));
}

static int remove_sub(const Scene &s)
{
	return result_of(rmdir(s.sub.c_str()));
}

std::span<const Attempt> attempts_to_remove()
{
	static constexpr Attempt list[] = {
		{"unlink", "unlink", lower_file, unlink_it, Effect::change},
		{"unlink_of_a_copy", "unlink drop_inode destroy_inode free_inode", upper_file,
		 unlink_it, Effect::change},
		{"unlink_of_both", "unlink", both_files, unlink_it, Effect::change},
		{"unlink_of_one_of_two", "unlink", two_upper_names, unlink_it, Effect::change},
		{.name = "unlink_of_one_of_two_below",
		 .methods = "unlink",
		 .prepare = two_lower_names,
		 .run = unlink_it,
		 .effect = Effect::change,
		 .has_two_names = true},
		{"rmdir", "rmdir",
		 [](const string &, const string &low) { make_dir(low + "/sub"); }, remove_sub,
		 Effect::change},
		{"rmdir_of_a_copy", "rmdir",
		 [](const string &top, const string &) { make_dir(top + "/sub"); }, remove_sub,
		 Effect::change},
		/* The names that the directory hides stay hidden. */
		{"rmdir_of_both", "rmdir",
		 [](const string &top, const string &low) {
			 make_dir(top + "/sub");
			 write_file(top + "/sub/.wh.file", "");
			 make_dir(low + "/sub");
			 make_dressed(low + "/sub/file");
		 },
		 remove_sub, Effect::change},
	};
	return list;
}

// ---- renaming ----------------------------------------------------------------------------------

static void lower_over_lower(const string &, const string &low)
{
	make_dressed(low + "/file");
	make_dressed(low + "/to", "another one");
}

static void lower_over_upper(const string &top, const string &low)
{
	lower_over_lower(top, low);
	make_dressed(top + "/to", "a third one");
}

static void upper_directory(const string &top, const string &)
{
	make_dir(top + "/sub");
	make_dressed(top + "/sub/file");
}

static void lower_directory(const string &, const string &low)
{
	make_dir(low + "/sub");
	make_dressed(low + "/sub/file");
}

/* The target looks empty to users, but none of its parts is. */
static void directory_over_emptied(const string &top, const string &low)
{
	upper_directory(top, low);
	make_dir(top + "/to");
	write_file(top + "/to/.wh.file", "");
	make_dir(low + "/to");
	make_dressed(low + "/to/file", "another one");
}

static int rename_it(const Scene &s)
{
	return result_of(rename(s.file.c_str(), s.to.c_str()));
}

static int rename_sub(const Scene &s)
{
	return result_of(rename(s.sub.c_str(), s.to.c_str()));
}

template <unsigned flags> static int rename_with(const Scene &s)
{
	return result_of(renameat2(AT_FDCWD, s.file.c_str(), AT_FDCWD, s.to.c_str(), flags));
}

std::span<const Attempt> attempts_to_rename()
{
	static constexpr Attempt list[] = {
		{"rename", "rename", lower_file, rename_it, Effect::change},
		{"rename_of_a_copy", "rename", upper_file, rename_it, Effect::change},
		{"rename_over", "rename", lower_over_lower, rename_it, Effect::change},
		{"rename_over_a_copy", "rename", lower_over_upper, rename_it, Effect::change},
		{"rename_to_where_one_was", "rename", lower_and_removed, rename_it, Effect::change},
		{.name = "rename_of_one_of_two",
		 .methods = "rename",
		 .prepare = two_lower_names,
		 .run = rename_it,
		 .effect = Effect::change,
		 .has_two_names = true},
		{"rename_out", "rename", lower_directory,
		 [](const Scene &s) { return result_of(rename(s.deep.c_str(), s.to.c_str())); },
		 Effect::change},
		{"rename_of_a_directory", "rename", upper_directory, rename_sub, Effect::change},
		{.name = "rename_of_a_lower_directory",
		 .methods = "rename",
		 .prepare = lower_directory,
		 .run = rename_sub,
		 .effect = Effect::change,
		 .refusal = EXDEV},
		{"rename_over_a_directory", "rename", directory_over_emptied, rename_sub,
		 Effect::change},
		{"noreplace", "rename", lower_file, rename_with<RENAME_NOREPLACE>, Effect::change},
		{"exchange", "rename", lower_over_lower, rename_with<RENAME_EXCHANGE>,
		 Effect::change},
		{"exchange_of_directories", "rename",
		 [](const string &top, const string &low) {
			 upper_directory(top, low);
			 make_dir(top + "/to");
			 make_dressed(top + "/to/other", "another one");
		 },
		 [](const Scene &s) {
			 return result_of(renameat2(AT_FDCWD, s.sub.c_str(), AT_FDCWD, s.to.c_str(),
						    RENAME_EXCHANGE));
		 },
		 Effect::change},
		{.name = "rename_with_a_whiteout",
		 .methods = "rename",
		 .prepare = lower_file,
		 .run = rename_with<RENAME_WHITEOUT>,
		 .refusal = EINVAL},
	};
	return list;
}
