/* SPDX-License-Identifier: GPL-2.0-only */
/* Options on their way from a mount to the methods of its context. All functions sleep. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/* Takes the security modules' options out of @options. */
inline Result<void> eat_options(struct fs_context &fc, char *options)
{
	return check(aufs_eat_security_options(&fc, options));
}

/* Gives @key and the @size bytes of @value (null for none) to the VFS as one option. */
inline Result<void> parse_string(struct fs_context &fc, const char *key, const char *value,
				 size_t size)
{
	return check(aufs_parse_string(&fc, key, value, size));
}

} // namespace aufs
