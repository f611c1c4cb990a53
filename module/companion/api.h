/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The border between C and C++ in aufs-observers.ko, as kernel/api.h is in aufs.ko: the common
 * subset of both languages.
 */
#ifndef AUFS_OBSERVERS_API_H
#define AUFS_OBSERVERS_API_H

/* Functions that the kernel exports and kernel/api.h does not have. */
int seq_path(struct seq_file *m, const struct path *path, const char *escaped);

/* main.c */
void observers_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *observers_alloc(size_t size);
void observers_free(void *memory);
#ifndef HAVE_BACKING_FILE_OPEN
/* The kernel's functions that show a mapping in /proc/PID/maps and smaps. */
extern int (*observers_original_show_map)(struct seq_file *m, void *v);
extern int (*observers_original_show_smap)(struct seq_file *m, void *v);
#endif

/*
 * In expected.cc. Whether the kernel, whose BTF this is, has the functions that are patched, with
 * the parameters that they have here, and has the members that the patches use where this module
 * was compiled to find them. Logs what differs. May sleep.
 */
bool observers_expected_types(const void *btf, size_t size);

/*
 * The offset of the body of a function whose first bytes are at @code: behind the mark for
 * indirect branches, if there is one, and the call that ftrace makes of it. 0 if the function does
 * not begin so.
 */
size_t observers_body_offset(const void *code);

#ifndef HAVE_BACKING_FILE_OPEN
/* In maps.cc: seq_operations::show. Called under the locks that the seq_file's start() took. */
int observers_show_map(struct seq_file *m, void *v);
int observers_show_smap(struct seq_file *m, void *v);
#endif

#endif /* AUFS_OBSERVERS_API_H */
