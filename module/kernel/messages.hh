/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages. They may quote names, which anybody may have chosen: helpers/log.c makes them printable. A flood of
 * messages is cut. All functions sleep.
 */
#pragma once

#include "kernel/kernel.hh"

namespace aufs
{

/* An error of a mount or a remount: goes to the task that asked for it by @fc, and to the kernel's log. */
void mount_error(struct fs_context *fc, const char *format, ...) __asm__("aufs_errorf")
	__attribute__((format(printf, 2, 3)));
/* The same for a message that is no error, but should be known. */
void mount_warning(struct fs_context *fc, const char *format, ...) __asm__("aufs_warnf")
	__attribute__((format(printf, 2, 3)));
/* The same for a message about something that is as it should be. */
void mount_note(struct fs_context *fc, const char *format, ...) __asm__("aufs_infof")
	__attribute__((format(printf, 2, 3)));
/* Goes to the kernel's log alone. */
void log_warning(const char *format, ...) __asm__("aufs_warn")
	__attribute__((format(printf, 1, 2)));

} // namespace aufs
