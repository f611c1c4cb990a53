/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The answers of servers to a task that changes the list of branches. While it has the list alone, tasks that walk a
 * path wait, and a server may be late. So the task asks beforehand, while the others go on. Alone, it looks here.
 *
 * The answer to a lookup is a dentry, negative if there is no such name. It is pinned. It counts as long as the dcache
 * has it by that name. If another dentry has taken its place there, the union has changed the name, or the filesystem
 * has heard of it from the server since: that dentry counts then. An error counts if the dcache has got no dentry
 * since. A direct change that nobody has noticed counts as if it came later.
 */
#pragma once

#include "part.hh"

#include "pointer_table.hh"

namespace aufs
{

class Answers final
{
public:
	/* The size of the largest value of origin_name. */
	static constexpr size_t most_bytes = 40;
	/*
	 * A task looks beside the others (Asks::all), and then alone (Asks::nothing). If it lacks an answer then, it
	 * begins again, so often in all. Alone in the last round, it asks: else it might go on for ever.
	 */
	static constexpr int most_rounds = 4;

	Answers() = default;
	Answers(const Answers &) = delete;
	Answers &operator=(const Answers &) = delete;

	/* The positive dentry @name in the directory @dir, or an error, -ENOENT as well. May ask the server. Sleeps. */
	Result<Ref<struct dentry>> look_up(PartRef dir, StringView name);
	/* The value of origin_name, as read_xattr() gives it. The same. */
	Result<ssize_t> read_origin(PartRef part, void *value, size_t size);

	enum class Asks : unsigned char {
		all, /* what it has not answered, or with an error */
		missing, /* what it has not answered */
		nothing,
	};
	/* What a server is asked from now on. With Asks::nothing, what it has not answered is -EAGAIN. */
	void choose(Asks asks)
	{
		asks_ = asks;
		lacks_some_ = false;
	}
	/* Whether a server would have been asked since Asks::nothing was chosen. */
	bool lacks_some() const
	{
		return lacks_some_;
	}

private:
	struct Answer {
		Part dir;
		Own<char[]> name;
		StringView::Size size = 0; /* of name */
		/* What was found. Empty after an error, and if it must not be pinned. */
		Part found;
		int error = 0;
		/* What the dcache had before the error. Only compared. */
		const struct dentry *before = nullptr;

		bool is_about(PartRef where, StringView what) const;
		bool is(const struct dentry *now) const;
		bool is_error_still(const struct dentry *now) const;
	};
	struct Value {
		Part part;
		ssize_t size = 0; /* or a negative errno */
		unsigned char bytes[most_bytes] = {};
	};
	/* Where the answer to a question is, or would be: its key, and its place or -1. */
	struct Place {
		uintptr_t key;
		long index;
	};

	Place place_of(PartRef dir, StringView name) const;
	const Answer *answer_at(Place place) const
	{
		return place.index < 0 ? nullptr : &lookups_[static_cast<size_t>(place.index)];
	}
	void keep(Place place, PartRef dir, StringView name, Answer answer);
	void keep(PartRef part, Value value);
	Result<void> begin_to_ask();

	Array<Answer> lookups_;
	cxxrt::PointerTable<long> places_; /* in lookups_, by Place::key */
	Array<Value> origins_;
	cxxrt::PointerTable<long> origin_places_; /* in origins_, by the dentry */
	Asks asks_ = Asks::all;
	bool lacks_some_ = false;
};

} // namespace aufs
