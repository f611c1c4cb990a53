/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The marks that overlayfs keeps in its layers, for a branch that is one (`+owh`). The kernel's
 * Documentation/filesystems/overlayfs.rst describes them. A character device 0:0 hides its name. So does an empty file
 * with the attribute `trusted.overlay.whiteout`, in a directory whose `trusted.overlay.opaque` is `x`. If that is `y`,
 * the directory hides all that lies below it. Such a branch is not written to, so nothing here is changed. All may
 * sleep.
 */
#pragma once

#include "part.hh"

namespace aufs
{

/* The prefix of overlayfs's attributes, which users do not see. */
inline constexpr StringView overlay_prefix{"trusted.overlay."};

/* Whether @dentry, an entry of @dir, hides its name. Errors are the branch's, as of the next two. */
Result<bool> is_overlay_whiteout(const AsMounter &mounter, PartRef dir, struct dentry &dentry);
/* Whether files of @dir may be whiteouts. */
Result<bool> has_overlay_whiteout_files(const AsMounter &mounter, PartRef dir);
/* Whether @dir hides what lies below it. */
Result<bool> is_overlay_opaque(const AsMounter &mounter, PartRef dir);
/*
 * -EIO, and a line in the log, if overlayfs shows more than @part has: the data of the file, or the content of the
 * directory, is elsewhere.
 */
Result<void> check_overlay_object(const AsMounter &mounter, PartRef part);

} // namespace aufs
