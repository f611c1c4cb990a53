/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The on-disk format of the original: a regular file `.wh.NAME` in a branch hides NAME in the
 * branches below it, and `.wh..wh..opq` in a directory hides all that lower branches have in that
 * directory. Users see no name that begins with `.wh.`.
 */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

class Writer;

inline constexpr StringView whiteout_prefix{".wh."};
inline constexpr StringView opaque_name{".wh..wh..opq"};
/*
 * The bytes of a name that a whiteout can hide. A longer name could not be removed or renamed through the union. So the
 * union does not have it at all: it is not listed, and a lookup is -ENAMETOOLONG, as for any name of that length.
 */
inline constexpr StringView::Size max_name = NAME_MAX - 4;

inline bool is_reserved(StringView name)
{
	return name.starts_with(whiteout_prefix);
}

/*
 * Whether @name is that of a whiteout or of an opaque mark, which `shwh` shows. The format's own names are never shown.
 */
inline bool is_whiteout_name(StringView name)
{
	return name == opaque_name || (name.size() > whiteout_prefix.size() && is_reserved(name) &&
				       !is_reserved(name.substr(whiteout_prefix.size())));
}

/* `.wh.` and a name, for the time of a lookup. */
class WhiteoutName final
{
public:
	/* @name is at most max_name bytes. */
	explicit WhiteoutName(StringView name) : size_(whiteout_prefix.size() + name.size())
	{
		__builtin_memcpy(text_, whiteout_prefix.data(), whiteout_prefix.size());
		__builtin_memcpy(text_ + whiteout_prefix.size(), name.data(), name.size());
	}
	StringView view() const
	{
		return StringView(text_, size_);
	}

private:
	char text_[NAME_MAX + 1];
	StringView::Size size_;
};

/*
 * These change a rw branch, and take the i_rwsem of the directory.
 */

/*
 * Makes the whiteout of @name in @h_dir, unless it exists; tells whether it was made. -EIO if another object has its
 * name.
 */
Result<bool> make_whiteout(const Writer &writer, struct dentry &h_dir, StringView name);

/* Removes the whiteout of @name in @h_dir, if there is one. */
Result<void> remove_whiteout(const Writer &writer, struct dentry &h_dir, StringView name);

/* Hides in @h_dir all that lower branches have there; tells whether it was not so before. */
Result<bool> make_opaque(const Writer &writer, struct dentry &h_dir);
/* Takes make_opaque() back. */
void undo_opaque(const Writer &writer, struct dentry &h_dir);

} // namespace aufs
