// SPDX-License-Identifier: GPL-2.0-only
/* See shim.h: mounts by path. */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/namei.h>

#include "internal.h" /* of fs */
#include "../../module/kernel/linux.h"
#include "generated/declared.h"
#include "../../module/kernel/api.h"
#include "shim.h"

int aufs_test_mount(const char *source, const char *path, const char *type, const char *options)
{
	struct path at;
	char *page;
	int err;

	/* The options of mount(2) are a page long. */
	page = kzalloc(PAGE_SIZE, GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	if (options)
		strscpy(page, options, PAGE_SIZE);
	err = kern_path(path, LOOKUP_FOLLOW, &at);
	if (!err) {
		err = path_mount(source, &at, type, 0, options ? page : NULL);
		path_put(&at);
	}
	kfree(page);
	return err;
}

int aufs_test_remount(const char *path, bool read_only)
{
	struct path at;
	int err = kern_path(path, LOOKUP_FOLLOW, &at);

	if (err)
		return err;
	err = path_mount(NULL, &at, NULL, MS_REMOUNT | (read_only ? MS_RDONLY : 0), NULL);
	path_put(&at);
	return err;
}

int aufs_test_change(const char *path, const char *options)
{
	struct path at;
	char *page = kzalloc(PAGE_SIZE, GFP_KERNEL);
	int err;

	if (!page)
		return -ENOMEM;
	strscpy(page, options, PAGE_SIZE);
	err = kern_path(path, LOOKUP_FOLLOW, &at);
	if (!err) {
		err = path_mount(NULL, &at, NULL, MS_REMOUNT, page);
		path_put(&at);
	}
	kfree(page);
	/* Puts the references that were left to others. */
	flush_delayed_fput();
	return err;
}

int aufs_test_umount(const char *path)
{
	struct path at;
	int tries;
	int err = -EBUSY;

	/* A work closes the files of kernel threads later, and may be doing that. */
	for (tries = 0; err == -EBUSY && tries < 100; tries++) {
		if (tries)
			msleep(20);
		flush_delayed_fput();
		err = kern_path(path, LOOKUP_FOLLOW, &at);
		/* path_umount() puts the path. */
		if (!err)
			err = path_umount(&at, 0);
	}
	return err;
}
