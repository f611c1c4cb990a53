/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts behind an inode of the union, branch by branch. */
#pragma once

#include "branch/part.hh"
#include "origin.hh"

#include "span.hh"

namespace aufs
{

using cxxrt::Span;

/* The result of a lookup in the branches: nothing, one object, or the parts of a merged directory. */
struct Stack {
	Part top;
	/* The parts of a directory below the top one, from the upper branches to the lower. */
	Own<Part[]> lower;
	unsigned int lower_count = 0;
	/* The branch of the lowest part. Readers under RCU have only this, as they must not look at the parts. */
	const Branch *bottom = nullptr;
	/* The object that has the name, if a pseudo-link led from that to the top. */
	Part named;
	/* The generation of its identity, if a pseudo-link led to it, and was believed. */
	u64 generation = Identity::unknown;
	/* The stack that the inode had before: readers without a lock may still use it. */
	Stack *older = nullptr;

	/* A stack for an inode, with the parts of @found, which is used up. -ENOMEM. */
	static Result<Own<Stack>> create(Stack &found);

	bool exists() const
	{
		return static_cast<bool>(top);
	}
	unsigned int parts() const
	{
		return 1 + lower_count;
	}
	const Part &part(unsigned int index) const
	{
		return index == 0 ? top : lower[index - 1];
	}
	const Part &lowest() const
	{
		return part(lower_count);
	}
	/* The part on @branch, or null; borrowed. */
	const Part *part_on(const Branch &branch) const
	{
		for (const Part &part : *this) {
			if (part.branch == &branch)
				return &part;
		}
		return nullptr;
	}
	bool has_part_on(const Branch &branch) const
	{
		return part_on(branch);
	}
	/* The dentry of that part, or null; borrowed. */
	struct dentry *dentry_on(const Branch &branch) const
	{
		const Part *part = part_on(branch);

		return part ? part->dentry.get() : nullptr;
	}
	/* The parts of a directory below the top one. */
	Span<Part> lower_parts() const
	{
		return {lower.get(), lower_count};
	}

	/* `for (const Part &part : found)`, from the uppermost. */
	class Iterator
	{
	public:
		Iterator(const Stack &found, unsigned int index) : stack_(found), index_(index)
		{
		}
		const Part &operator*() const
		{
			return stack_.part(index_);
		}
		Iterator &operator++()
		{
			index_++;
			return *this;
		}
		bool operator!=(const Iterator &other) const
		{
			return index_ != other.index_;
		}
		/* How many parts come before it. */
		unsigned int place() const
		{
			return index_;
		}

	private:
		const Stack &stack_;
		unsigned int index_;
	};
	Iterator begin() const
	{
		return {*this, 0};
	}
	Iterator end() const
	{
		return {*this, parts()};
	}

	class Range
	{
	public:
		Range(Iterator first, Iterator last) : first_(first), last_(last)
		{
		}
		Iterator begin() const
		{
			return first_;
		}
		Iterator end() const
		{
			return last_;
		}

	private:
		Iterator first_;
		Iterator last_;
	};
	/* The parts on the branches above @branch, and below it: `for (const Part &part : found.above(branch))`. */
	Range above(const Branch &branch) const
	{
		Iterator last = begin();

		while (last != end() && (*last).branch->is_above(branch))
			++last;
		return {begin(), last};
	}
	Range below(const Branch &branch) const
	{
		Iterator first = begin();

		while (first != end() && !branch.is_above(*(*first).branch))
			++first;
		return {first, end()};
	}
};

} // namespace aufs
