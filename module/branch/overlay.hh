/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What overlayfs keeps in its layers, for a branch that is one (`+owh`), as Documentation/filesystems/overlayfs.rst
 * of the kernel has it: a name is hidden by a character device 0:0, or by an empty file with the attribute
 * `trusted.overlay.whiteout` in a directory whose `trusted.overlay.opaque` is `x`; a directory in which that is `y`
 * hides all that lies below. Such a branch is not written to, so nothing here is changed. All may sleep.
 */
#pragma once

#include "part.hh"

namespace aufs
{

/* Attributes of these names say nothing to users. */
inline constexpr StringView overlay_prefix{"trusted.overlay."};

/* Whether @dentry, an entry of @dir, hides its name. What the branch says where it cannot be read, as the next two. */
Result<bool> is_overlay_whiteout(const AsMounter &mounter, PartRef dir, struct dentry &dentry);
/* Whether files of @dir may be whiteouts. */
Result<bool> has_overlay_whiteout_files(const AsMounter &mounter, PartRef dir);
/* Whether @dir hides what lies below it. */
Result<bool> is_overlay_opaque(const AsMounter &mounter, PartRef dir);
/*
 * -EIO, and a line in the log, where @part is not all that overlayfs shows: the data of a file, or the content of
 * a directory, are elsewhere.
 */
Result<void> check_overlay_object(const AsMounter &mounter, PartRef part);

} // namespace aufs
