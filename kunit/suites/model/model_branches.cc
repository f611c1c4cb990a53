// SPDX-License-Identifier: GPL-2.0-only
/* Steps of the random walk that change the union's list of branches. */
#include "model.hh"

namespace aufs::test
{

/* Remounts with the options @format, which has the number of a module. */
long Model::change_branches(const char *format, unsigned int module)
{
	char options[64];

	scnprintf(options, sizeof(options), format, module);
	return aufs_test_change(Union::at, options);
}

template <class F> unsigned int Model::some_module(F is)
{
	unsigned int first = random_.below(modules);

	for (unsigned int i = 0; i < listed_count_; ++i) {
		unsigned int place = (first + i) % listed_count_;

		if (is(listed_[place]))
			return place;
	}
	return modules;
}

bool Model::leads_right()
{
	Open open;
	long expected = content_at(paths - 1) < contents ? 0 : -ENOENT;

	return open_into(open, paths - 1, false) == expected;
}

/* Whether the model has a file of @module open or mapped, from whenever. */
bool Model::has_opens(unsigned int module) const
{
	for (const Open &open : open_) {
		if (open.user && open.content == content_of_module(module))
			return true;
	}
	return false;
}

/* Whether one of them is of the branch that is in the list now. */
bool Model::is_in_use(unsigned int module) const
{
	for (const Open &open : open_) {
		if (open.user && open.content == content_of_module(module) && !open.left_behind)
			return true;
	}
	return false;
}

void Model::take_out(unsigned int place)
{
	for (Open &open : open_)
		open.left_behind |= open.user && open.content == content_of_module(listed_[place]);
	--listed_count_;
	for (unsigned int i = place; i < listed_count_; ++i)
		listed_[i] = listed_[i + 1];
}

/* Adds a branch, below the rw branch or below all. */
void Model::add_branch()
{
	unsigned int module = random_.below(modules);
	bool above = random_.once_in(2);

	for (unsigned int i = 0; i < listed_count_; ++i) {
		if (listed_[i] == module)
			return;
	}
	say(above ? "add" : "append", module);
	if (!is(change_branches(above ? "add:1:/branches/m%u" : "append:/branches/m%u", module), 0))
		return;
	for (unsigned int i = listed_count_; above && i > 0; --i)
		listed_[i] = listed_[i - 1];
	listed_[above ? 0 : listed_count_] = module;
	++listed_count_;
}

/*
 * An open or mapped file keeps its branch, whatever hides its name by now. If only files that were left behind are of
 * this module, one of them may be a file of the present branch too, which is the same directory. Then the branch is not
 * removed.
 */
void Model::remove_branch()
{
	/* The kernel refuses only after some ticks of trying, so this is rare. */
	bool refused = random_.once_in(32);
	unsigned int place = some_module([this, refused](unsigned int module) {
		return refused ? is_in_use(module) : !has_opens(module);
	});

	if (place == modules)
		return;
	say("del", listed_[place]);
	if (is(change_branches("del:/branches/m%u", listed_[place]), refused ? -EBUSY : 0) &&
	    !refused)
		take_out(place);
}

/* Detaches a branch, whoever uses it. */
void Model::detach_branch()
{
	unsigned int place = some_module([](unsigned int) { return true; });

	if (place == modules)
		return;
	say("detach", listed_[place]);
	if (is(change_branches("detach:/branches/m%u", listed_[place]), 0))
		take_out(place);
}

} // namespace aufs::test
