/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes of the branches of a union, as options ask for them. As options.hh: no kernel calls, no
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

/*
 * One change. @branch.path is the branch that comes, where it is inserted or appended, and else the one
 * that it is about.
 */
struct BranchChange {
	enum class Kind : unsigned char {
		insert, /* it becomes number @place; those that had this number and more move down */
		append, /* it becomes the last one */
		remove, /* it goes unless it is in use */
		detach, /* it goes, for all but those who use it */
		modify, /* it gets the permission and the attributes of @branch */
		/*
		 * @new_path takes its place: with the permission and the attributes of @branch, or
		 * where no permission is given with those that the old branch has.
		 */
		replace,
	};

	Kind kind;
	unsigned int place; /* of insert: 0 is the top; 0 for all others */
	/*
	 * What comes without a permission is ro, at place 0 as well; only the first branch of a mount
	 * is rw, as in BranchList. The original has rr on a filesystem that is read-only by nature,
	 * else rw by prepend and add:0 in a union that is not read-only, else ro.
	 */
	BranchItem branch;
	StringView new_path; /* of replace, else empty; in the caller's buffer, a zero follows it */
};

/* Whether the value of the option @key is for BranchChanges to read. */
bool changes_branches(OptionKey key);

/*
 * The changes that one option asks for, in the order in which they are made:
 *
 *	BranchChanges changes(key, option.value, count);
 *	while (changes.more())
 *		make(TRY(changes.next(buffer, BranchChanges::buffer_size, error)));
 *
 * `prepend:/a:/b` inserts /a at place 0 and /b at place 1. No value is empty: that is an error.
 * Whether there is such a place, such a branch, or room for one more is not looked at. After an error
 * the changes are at an end.
 */
class BranchChanges final
{
public:
	/* Enough for any change. All but replace have enough with path_size. */
	static constexpr StringView::Size buffer_size = 2 * path_size;

	/*
	 * Only where changes_branches(@key). @already: how many branches there are, of which only 0 is
	 * special. @value must outlive this.
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
	 * Only where more(). The paths of the change are written to @buffer of @size bytes, over those
	 * of the change before. -EINVAL: wrong syntax; -ENAMETOOLONG: a path does not fit. @error is
	 * set with each.
	 */
	Result<BranchChange> next(char *buffer, StringView::Size size, OptionError &error);

private:
	bool is_list() const
	{
		return key_ == OptionKey::append || key_ == OptionKey::prepend;
	}

	OptionKey key_;
	StringView value_;
	BranchList list_; /* where it is one */
	BranchPerm otherwise_;
	unsigned int place_ = 0;
	bool more_ = true;
};

} // namespace aufs
