// SPDX-License-Identifier: GPL-2.0-only
/* Compares the kernel's state with the model. */
#include "model.hh"

namespace aufs::test
{

namespace
{

struct Look {
	Model &model;
	Space &space;
	const Open *open;
	/* The first page that was not compared yet. */
	unsigned int next;
	const char *wrong;
};

unsigned long flags_of(const Page &page)
{
	return (page.prot & PROT_READ ? VM_READ : 0) | (page.prot & PROT_WRITE ? VM_WRITE : 0) |
	       (page.shared ? VM_MAYSHARE : 0) | (page.shared && page.writable ? VM_SHARED : 0) |
	       (page.dont_fork ? VM_DONTCOPY : 0) | (page.random ? VM_RAND_READ : 0);
}

constexpr unsigned long flags = VM_READ | VM_WRITE | VM_MAYSHARE | VM_SHARED | VM_DONTCOPY |
				VM_RAND_READ;

const char *compare_page(const struct vm_area_struct &vma, const Look &look, unsigned int index)
{
	const Page &page = look.space.pages[index];

	if (!page.is_mapped())
		return "a page is mapped that is not";
	if ((vma.vm_flags & flags) != flags_of(page))
		return "a page has other flags";
	if (!page.is_file())
		return vma.vm_file || vma.vm_prfile ? "an anonymous page has a file" : nullptr;
	if (!look.open[page.open].is_of(vma))
		return "a page has other files";
	if (vma.vm_pgoff + (look.model.addr(index) - vma.vm_start) / PAGE_SIZE != page.offset)
		return "a page is another page of the file";
	return nullptr;
}

const char *holes(const Space &space, unsigned int first, unsigned int end)
{
	for (unsigned int i = first; i < end; ++i) {
		if (space.pages[i].is_mapped())
			return "a page is not mapped that is";
	}
	return nullptr;
}

} // namespace

void Model::compare_vma(struct vm_area_struct *vma, void *data)
{
	Look &look = *static_cast<Look *>(data);
	const Model &model = look.model;
	Space &space = look.space;

	if (look.wrong)
		return;
	if (vma->vm_start < model.base_ || vma->vm_end > model.addr(Space::window)) {
		look.wrong = "there is a mapping outside of the window";
		return;
	}

	auto first = static_cast<unsigned int>((vma->vm_start - model.base_) / PAGE_SIZE);
	auto end = static_cast<unsigned int>((vma->vm_end - model.base_) / PAGE_SIZE);

	look.wrong = holes(space, look.next, first);
	for (unsigned int i = first; i < end && !look.wrong; ++i)
		look.wrong = compare_page(*vma, look, i);
	look.next = end;
	space.area[space.areas++] = {first, end - first};
	if (!look.wrong && space.pages[first].is_file())
		++space.mappings[space.pages[first].open];
}

const char *Model::compare(Space &space)
{
	Look look{*this, space, open_, 0, nullptr};

	for (unsigned int i = 0; i < Space::opens; ++i) {
		open_[i].mappings -= space.mappings[i];
		space.mappings[i] = 0;
	}
	space.areas = 0;
	aufs_test_each_vma(space.mm, compare_vma, &look);
	for (unsigned int i = 0; i < Space::opens; ++i)
		open_[i].mappings += space.mappings[i];
	return look.wrong ?: holes(space, look.next, Space::window);
}

/* A file that is closed and not mapped is gone when the last puts are done. */
const char *Model::forget_unused()
{
	for (Open &open : open_) {
		if (!open.user || open.held || open.mappings)
			continue;
		if (open.branch) {
			for (int tries = 0; tries < 100; ++tries) {
				flush_delayed_fput();
				if (aufs_test_file_count(open.branch) == 1)
					break;
				aufs_test_sleep(10);
			}
			if (aufs_test_file_count(open.branch) != 1)
				return "a branch file is kept, and nothing has it";
		}
		open = {};
	}
	return nullptr;
}

const char *Model::compare_counts()
{
	for (const Open &open : open_) {
		long mappings = open.mappings;

		/* A file that nobody has is not looked at: see forget_unused(). */
		if (!open.user || (!open.held && !mappings))
			continue;
		if (aufs_test_file_count(open.user) != (open.held ? 1 : 0) + mappings)
			return "the user's file has another count";
		/* One for the user's file, and one for the model. */
		if (open.branch && aufs_test_file_count(open.branch) != 2 + mappings)
			return "the branch file has another count";
	}
	return forget_unused();
}

const char *Model::compare_current()
{
	const char *wrong = current_ ? compare(*current_) : nullptr;

	return wrong ?: compare_counts();
}

const char *Model::compare_all()
{
	for (Space &space : space_) {
		const char *wrong = space.mm ? compare(space) : nullptr;

		if (wrong)
			return wrong;
	}
	return compare_counts();
}

} // namespace aufs::test
