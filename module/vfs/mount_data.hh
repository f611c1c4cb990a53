/* SPDX-License-Identifier: GPL-2.0-only */
/* Options of a filesystem context, as mount(2) gives them. */
#pragma once

#include "kernel/handles.hh"
#include "options/options.hh"

namespace aufs
{

/* Explains @error in @fc's log, and returns @code, a negative errno. */
Result<void> refuse(struct fs_context *fc, const OptionError &error, int code);

/*
 * Takes mount(2)'s data: splits it at the commas that are not escaped, and takes each option as if it had come by
 * fsconfig(2). Changes @data. For fs_context_operations.
 */
Result<void> parse_monolithic(struct fs_context *fc, void *data);

} // namespace aufs
