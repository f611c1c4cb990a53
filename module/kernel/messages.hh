/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages. Whatever somebody has chosen as a name may stand in them: helpers/log.c makes it printable. A flood of
 * them is cut. All sleep.
 */
#pragma once

#include "kernel/kernel.hh"

namespace aufs
{

/* What was wrong with a mount or a remount: to who asked for it by @fc, and to the kernel's log. */
void mount_error(struct fs_context *fc, const char *format, ...) __asm__("aufs_errorf")
	__attribute__((format(printf, 2, 3)));
/* The same of what is no error, but should be known. */
void mount_warning(struct fs_context *fc, const char *format, ...) __asm__("aufs_warnf")
	__attribute__((format(printf, 2, 3)));
/* The same of what is as it should be. */
void mount_note(struct fs_context *fc, const char *format, ...) __asm__("aufs_infof")
	__attribute__((format(printf, 2, 3)));
/* To the kernel's log alone. */
void log_warning(const char *format, ...) __asm__("aufs_warn")
	__attribute__((format(printf, 1, 2)));

} // namespace aufs
