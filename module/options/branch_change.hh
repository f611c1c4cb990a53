/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes of the branches of a union, as options ask for them. As in options.hh: no kernel calls, no
 * allocation, any context, tested on the host.
 *
 *	add, ins         place ":" branch
 *	append, prepend  list
 *	del, detach      path
 *	mod              path "=" permission { "+" attribute }
 *	replace          path "=" branch
 *
 *	place = "0" | nonzero { digit }
 *
 * Branches, lists and paths are those of options.hh, except that a `:` ends a path only in a list.
 * Elsewhere it stands for itself, escaped or not, as in the original.
 */
#pragma once

#include "option_table.hh"

namespace aufs
{

/* One change. @branch.path is the new branch, if one is inserted or appended, and else the branch that is changed. */
struct BranchChange {
	enum class Kind : unsigned char {
		insert, /* the branch becomes number @place; branches from there on move down */
		append, /* the branch becomes the last one */
		remove, /* the branch goes unless it is in use */
		detach, /* the branch goes, but tasks that use it keep it */
		modify, /* the branch gets the permission and the attributes of @branch */
		/*
		 * @new_path takes the branch's place: with the permission and the attributes of @branch, or, if no
		 * permission is given, with those of the old branch.
		 */
		replace,
	};

	Kind kind;
	unsigned int place; /* for insert: 0 is the top; 0 for all others */
	/*
	 * A new branch without a permission is ro, at place 0 as well; only the first branch of a mount is rw, as in
	 * BranchList. In the original it is rr on a filesystem that is read-only by nature, else rw by prepend and
	 * add:0 in a union that is not read-only, else ro.
	 */
	BranchItem branch;
	StringView new_path; /* for replace, else empty; in the caller's buffer, a zero follows it */
};

/* Whether BranchChanges reads the value of the option @key. */
bool changes_branches(OptionKey key);

/*
 * The changes that one option asks for, in the order in which they are made:
 *
 *	BranchChanges changes(key, option.value, count);
 *	while (changes.more())
 *		make(TRY(changes.next(buffer, BranchChanges::buffer_size, error)));
 *
 * `prepend:/a:/b` inserts /a at place 0 and /b at place 1. An empty value is an error. Nothing here asks whether the
 * union has such a place, such a branch, or room for one more. An error ends the changes.
 */
class BranchChanges final
{
public:
	/* Enough for any change. path_size is enough for all but replace. */
	static constexpr StringView::Size buffer_size = 2 * path_size;

	/*
	 * Only if changes_branches(@key). @already: the number of branches that there are; only 0 is special. @value
	 * must outlive this.
	 */
	constexpr BranchChanges(OptionKey key, StringView value, unsigned int already)
		: key_(key), value_(value), list_(value, already, ~0U),
		  otherwise_(already ? BranchPerm::ro : BranchPerm::rw)
	{
	}

	bool more() const
	{
		return is_list() ? list_.more() : more_;
	}

	/*
	 * Only if more(). The paths of the change are written to @buffer of @size bytes, over those of the change
	 * before. -EINVAL: wrong syntax; -ENAMETOOLONG: a path does not fit. Both set @error.
	 */
	Result<BranchChange> next(char *buffer, StringView::Size size, OptionError &error);

private:
	bool is_list() const
	{
		return key_ == OptionKey::append || key_ == OptionKey::prepend;
	}

	OptionKey key_;
	StringView value_;
	BranchList list_; /* the value, if it is a list */
	BranchPerm otherwise_;
	unsigned int place_ = 0;
	bool more_ = true;
};

} // namespace aufs
