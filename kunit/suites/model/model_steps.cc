// SPDX-License-Identifier: GPL-2.0-only
/* The steps of the random walk, in the kernel and in the model. */
#include "model.hh"

namespace aufs::test
{

Range Model::some_range(unsigned int longest)
{
	unsigned int first = random_.below(Space::window);

	return {first, 1 + random_.below(cxxrt::min(longest, Space::window - first))};
}

/* A part of one mapping, as the kernel has the mappings. */
bool Model::some_part(Range &part)
{
	if (!current_->areas)
		return false;

	Range area = current_->area[random_.below(current_->areas)];
	unsigned int skip = random_.below(area.count);

	part = {area.first + skip, 1 + random_.below(area.count - skip)};
	return true;
}

unsigned long Model::some_prot()
{
	static constexpr unsigned long prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};

	/* PROT_NONE is rare, as such pages can be neither read nor written. */
	return prots[random_.once_in(6) ? 0 : 1 + random_.below(2)];
}

void Model::map()
{
	Range range = some_range(16);
	unsigned int which = random_.below(Space::opens);
	Page page;

	page.prot = some_prot();
	page.open = open_[which].held ? static_cast<int>(which) : Page::anonymous;
	page.shared = page.is_file() && random_.once_in(2);
	page.writable = page.is_file() && open_[which].writable;
	page.offset = page.is_file() ? random_.below(file_pages) : 0;
	say("mmap", range.first, range.count, page.prot, page.shared, which, page.offset);

	bool refused = page.shared && !page.writable && page.prot & PROT_WRITE;
	long result = aufs_test_mmap(page.is_file() ? open_[which].user : nullptr,
				     addr(range.first), length(range.count), page.prot,
				     MAP_FIXED | (page.shared ? MAP_SHARED : MAP_PRIVATE) |
					     (page.is_file() ? 0 : MAP_ANONYMOUS),
				     page.offset * PAGE_SIZE);

	if (refused)
		is(result, -EACCES);
	else if (is_at(result, range.first))
		current_->fill(range, page);
}

void Model::unmap()
{
	Range range = some_range(16);

	say("munmap", range.first, range.count);
	if (is(vm_munmap(addr(range.first), length(range.count)), 0))
		current_->clear(range);
}

/* mprotect() stops at the first page that it cannot change; the pages before are changed. */
void Model::protect()
{
	Range range = some_range(16);
	unsigned long prot = some_prot();
	long expected = 0;

	say("mprotect", range.first, range.count, prot);

	long result = aufs_test_mprotect(addr(range.first), length(range.count), prot);

	for (unsigned int i = range.first; i < range.end() && !expected; ++i) {
		Page &page = current_->pages[i];

		if (!page.is_mapped())
			expected = -ENOMEM;
		else if (prot & PROT_WRITE && page.shared && !page.writable)
			expected = -EACCES;
		else
			page.prot = prot;
	}
	is(result, expected);
}

/* madvise() skips unmapped pages, and goes on. */
void Model::advise()
{
	static constexpr int advices[] = {MADV_DONTFORK, MADV_DOFORK, MADV_RANDOM, MADV_NORMAL};
	Range range = some_range(16);
	int advice = advices[random_.below(4)];
	long expected = 0;

	say("madvise", range.first, range.count, advice);

	long result = aufs_test_madvise(addr(range.first), length(range.count), advice);

	for (unsigned int i = range.first; i < range.end(); ++i) {
		Page &page = current_->pages[i];

		if (!page.is_mapped())
			expected = -ENOMEM;
		else if (advice == MADV_DONTFORK || advice == MADV_DOFORK)
			page.dont_fork = advice == MADV_DONTFORK;
		else
			page.random = advice == MADV_RANDOM;
	}
	is(result, expected);
}

/* Moves a part elsewhere, and sometimes makes it longer or shorter. */
void Model::move()
{
	Range from;

	if (!some_part(from))
		return;

	Range to{0, from.count};

	if (random_.once_in(4))
		to.count = 1 + random_.below(12);
	to.first = random_.below(Space::window - to.count + 1);
	say("mremap", from.first, from.count, to.count, MREMAP_MAYMOVE | MREMAP_FIXED, to.first);

	long result = aufs_test_mremap(addr(from.first), length(from.count), length(to.count),
				       MREMAP_MAYMOVE | MREMAP_FIXED, addr(to.first));

	if (from.overlaps(to)) {
		is(result, -EINVAL);
	} else if (is_at(result, to.first)) {
		Page page = current_->pages[from.first];

		current_->clear(from);
		current_->fill(to, page);
	}
}

void Model::shrink()
{
	Range part;

	if (!some_part(part))
		return;

	unsigned int left = 1 + random_.below(part.count);

	say("mremap", part.first, part.count, left);
	if (is_at(aufs_test_mremap(addr(part.first), length(part.count), length(left), 0, 0),
		  part.first))
		current_->clear({part.first + left, part.count - left});
}

/* Grows in place if there is room; only the end of a mapping can grow. */
void Model::grow()
{
	if (!current_->areas)
		return;

	Range area = current_->area[random_.below(current_->areas)];

	if (area.end() == Space::window)
		return;

	Range more{area.end(), 1 + random_.below(cxxrt::min(8U, Space::window - area.end()))};
	unsigned int skip = random_.below(area.count);
	bool room = true;

	for (unsigned int i = more.first; i < more.end(); ++i)
		room &= !current_->pages[i].is_mapped();
	say("mremap", area.first + skip, area.count - skip, area.count - skip + more.count);

	long result = aufs_test_mremap(addr(area.first + skip), length(area.count - skip),
				       length(area.count - skip + more.count), 0, 0);

	if (!room)
		is(result, -ENOMEM);
	else if (is_at(result, area.first + skip))
		current_->fill(more, current_->pages[area.end() - 1].after(1));
}

void Model::keep_and_move()
{
	const unsigned long flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
	Range from;

	if (!some_part(from) || !current_->pages[from.first].is_file())
		return;

	Range to{random_.below(Space::window - from.count + 1), from.count};

	say("mremap", from.first, from.count, to.count, flags, to.first);

	long result = aufs_test_mremap(addr(from.first), length(from.count), length(to.count),
				       flags, addr(to.first));

	if (from.overlaps(to))
		is(result, -EINVAL);
	else if (is_at(result, to.first))
		current_->fill(to, current_->pages[from.first]);
}

/* Only a range of one shared file with the same flags can be remapped. The new mapping has no advice. */
void Model::remap_file_pages()
{
	Range range = some_range(8);
	Range part;

	/* Most ranges are of several kinds. */
	if (random_.once_in(2) && some_part(part))
		range = part;

	Page page = current_->pages[range.first];
	bool refused = !page.is_file() || !page.shared || !page.writable;

	for (unsigned int i = range.first; i < range.end(); ++i)
		refused |= !page.is_like(current_->pages[i]);
	page.offset = random_.below(file_pages);
	say("remap_file_pages", range.first, range.count, page.offset);

	long result =
		aufs_test_remap_file_pages(addr(range.first), length(range.count), page.offset);

	if (refused) {
		is(result, -EINVAL);
	} else if (is(result, 0)) {
		page.dont_fork = false;
		page.random = false;
		current_->fill(range, page);
	}
}

/* Reads a word and writes it back, which gives a private mapping a page of its own. */
void Model::touch()
{
	unsigned int index = random_.below(Space::window);
	const Page &page = current_->pages[index];
	unsigned long word = 0;

	if (!(page.prot & PROT_READ) || page.offset >= file_pages)
		return;
	say("read", index);
	if (!is(aufs_test_read_user(addr(index), &word, sizeof(word)), 0) ||
	    !is(static_cast<long>(word),
		static_cast<long>(page.is_file() ? word_of(open_[page.open].content, page.offset) :
						   0)))
		return;
	if (page.prot & PROT_WRITE) {
		say("write", index);
		is(aufs_test_write_user(addr(index), &word, sizeof(word)), 0);
	}
}

void Model::open()
{
	unsigned int path = random_.below(Model::paths);
	bool writable = has_writable(path) && !random_.once_in(3);

	for (Open &open : open_) {
		if (open.user)
			continue;
		say("open", path, writable);
		is(open_into(open, path, writable), content_at(path) < contents ? 0 : -ENOENT);
		return;
	}
}

void Model::close()
{
	unsigned int which = random_.below(Space::opens);

	say("close", which);
	open_[which].held = {};
}

void Model::fork()
{
	for (Space &child : space_) {
		if (child.mm)
			continue;
		say("fork", current_ - space_, &child - space_);

		struct mm_struct *mm = aufs_test_fork_mm();

		if (!is(is_error(mm), false))
			return;
		child.mm = mm;
		for (unsigned int i = 0; i < Space::window; ++i)
			child.pages[i] = current_->pages[i].dont_fork ? Page() : current_->pages[i];
		is(!compare(child), true);
		return;
	}
}

void Model::exit()
{
	say("exit", current_ - space_);
	put_current();
	change_space();
	if (!current_)
		is(enter_new(), true);
}

void Model::put_current()
{
	Space *space = current_;

	leave();
	aufs_test_put_mm(space->mm);
	space->mm = nullptr;
	space->clear({0, Space::window});
	space->areas = 0;
	for (unsigned int i = 0; i < Space::opens; ++i)
		open_[i].mappings -= cxxrt::exchange(space->mappings[i], 0U);
}

void Model::change_space()
{
	unsigned int first = random_.below(spaces);

	for (unsigned int i = 0; i < spaces; ++i) {
		Space &space = space_[(first + i) % spaces];

		if (!space.mm || &space == current_)
			continue;
		say("change_space", current_ - space_, &space - space_);
		leave();
		aufs_test_enter_mm(space.mm);
		current_ = &space;
		return;
	}
}

} // namespace aufs::test
