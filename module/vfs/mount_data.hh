/* SPDX-License-Identifier: GPL-2.0-only */
/* Options of a filesystem context, as mount(2) gives them. */
#pragma once

#include "kernel/handles.hh"
#include "options/options.hh"

namespace aufs
{

/* Explains @error in @fc's log, for who returns the negative errno @code. */
Result<void> refuse(struct fs_context *fc, const OptionError &error, int code);

/*
 * mount(2)'s data: split with respect to escaped commas, then as if each option had come by
 * fsconfig(2). @data is the caller's to change. For fs_context_operations.
 */
Result<void> parse_monolithic(struct fs_context *fc, void *data);

} // namespace aufs
