// SPDX-License-Identifier: GPL-2.0-only
/* The beginning, the course and the end of the random walk. */
#include "mmap/branch_file.hh"
#include "model.hh"

namespace aufs::test
{

namespace
{

struct Path {
	const char *open;
	bool writable;
};

/* The fifth is on the read-only branch, the sixth is not in the union. */
constexpr Path files[Model::paths] = {
	{"/union/a", true},  {"/union/b", true},	{"/union/c", true},  {"/union/d", true},
	{"/union/e", false}, {"/branches/plain", true}, {"/union/f", false},
};
constexpr unsigned int plain = 5;
/* The path by which each content is made. */
constexpr const char *made[Model::contents] = {
	"/union/a",	   "/union/b",	     "/union/c",       "/union/d",	 "/branches/ro/e",
	"/branches/plain", "/branches/m0/f", "/branches/m1/f", "/branches/m2/f",
};

} // namespace

bool Model::has_writable(unsigned int path)
{
	return files[path].writable;
}

unsigned long Model::word_of(unsigned int content, unsigned long page)
{
	return (content + 1) << 16 | page;
}

unsigned int Model::content_at(unsigned int path) const
{
	if (path < paths - 1)
		return path;
	return listed_count_ ? content_of_module(listed_[0]) : contents;
}

Model::Model(struct kunit *test, u64 seed) : test_(test), seed_(seed), random_(seed), mount_(test)
{
	if (!mount_.ok() || !make_files() || !enter_new())
		return;

	/* Each new address space has so much free room. */
	long room = aufs_test_mmap(nullptr, 0, length(2 * Space::window), PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS, 0);

	if (!EXPECT(test_, is_address(room)))
		return;
	base_ = static_cast<unsigned long>(room) + length(Space::window / 2);
	ok_ = EXPECT_EQ(test_,
			vm_munmap(static_cast<unsigned long>(room), length(2 * Space::window)), 0);
}

Model::~Model()
{
	leave();
	for (Space &space : space_) {
		if (space.mm)
			aufs_test_put_mm(space.mm);
	}
}

bool Model::make_files()
{
	static constexpr const char *dirs[modules] = {"/branches/m0", "/branches/m1",
						      "/branches/m2"};

	for (const char *dir : dirs) {
		if (!EXPECT_EQ(test_, aufs_test_mkdir(dir), 0))
			return false;
	}
	for (unsigned int content = 0; content < contents; ++content) {
		auto file = mount_.make(made[content], file_pages);

		if (!file)
			return false;
		for (unsigned long page = 0; page < file_pages; ++page) {
			unsigned long word = word_of(content, page);
			auto at = static_cast<loff_t>(page) * static_cast<loff_t>(PAGE_SIZE);

			if (!EXPECT_EQ(test_, kernel_write(file.get(), &word, sizeof(word), &at),
				       sizeof(word)))
				return false;
		}
	}
	return true;
}

long Model::open_into(Open &open, unsigned int path, bool writable)
{
	auto file = adopt_or_error(filp_open(files[path].open, writable ? O_RDWR : O_RDONLY, 0));
	unsigned long word = 0;
	loff_t at = 0;

	if (!file.ok())
		return file.error();
	open.held = ::aufs::move(file.value());
	open.user = open.held.get();
	open.branch = path == plain ? nullptr : &h_file_of(*open.user);
	open.watch = Ref<struct file>::retain(open.branch);
	open.content = content_at(path);
	open.writable = writable;
	if (kernel_read(open.user, &word, sizeof(word), &at) != sizeof(word))
		return -EIO;
	/* The file is the one that the model means. */
	return open.content < contents && word == word_of(open.content, 0) ? 0 : -ESTALE;
}

bool Model::enter_new()
{
	struct mm_struct *mm = aufs_test_enter_new_mm();

	if (!EXPECT(test_, !is_error(mm)))
		return false;
	for (Space &space : space_) {
		if (space.mm)
			continue;
		space.mm = mm;
		current_ = &space;
		return true;
	}
	return false;
}

void Model::leave()
{
	Space *space = cxxrt::exchange(current_, nullptr);

	if (space)
		aufs_test_leave_mm(space->mm);
}

bool Model::begin_with(unsigned int pages)
{
	Page page;

	page.open = 0;
	page.shared = true;
	page.writable = true;
	page.prot = PROT_READ | PROT_WRITE;
	if (open_into(open_[0], 0, true) != 0 ||
	    test::map(*open_[0].user, pages, 0, page.prot, MAP_SHARED | MAP_FIXED, addr(0)) !=
		    static_cast<long>(addr(0)))
		return false;
	current_->fill({0, pages}, page);
	return true;
}

bool Model::walk(unsigned int steps)
{
	for (unsigned int i = 0; i < steps; ++i) {
		step();

		const char *wrong = step_.result == step_.expected ? nullptr : "another result";

		/* A step changes one address space. The others have to be as they were. */
		wrong = wrong ?: i % 64 == 63 ? compare_all() : compare_current();
		if (!wrong)
			continue;
		aufs_test_fail(
			test_, __FILE__, __LINE__,
			"aufs.model_seed=%llu, step %u: %s(%lu, %lu, %lu, %lu, %lu, %lu) = %ld, "
			"expected %ld: %s",
			seed_, i, step_.name ?: "nothing", step_.arguments[0], step_.arguments[1],
			step_.arguments[2], step_.arguments[3], step_.arguments[4],
			step_.arguments[5], step_.result, step_.expected, wrong);
		return false;
	}
	return true;
}

bool Model::end()
{
	const char *wrong = compare_all();

	while (!wrong && current_) {
		put_current();
		change_space();
		wrong = compare_all();
	}
	for (Open &open : open_) {
		if (wrong)
			break;
		EXPECT_EQ(test_, open.mappings, 0);
		open.held = {};
		wrong = compare_counts();
	}
	if (wrong)
		aufs_test_fail(test_, __FILE__, __LINE__, "aufs.model_seed=%llu, at the end: %s",
			       seed_, wrong);
	return !wrong;
}

constexpr Model::Choice Model::choices[Model::ways] = {
	{28, &Model::map},	 {14, &Model::unmap},	     {20, &Model::protect},
	{16, &Model::advise},	 {10, &Model::move},	     {3, &Model::shrink},
	{5, &Model::grow},	 {5, &Model::keep_and_move}, {8, &Model::remap_file_pages},
	{8, &Model::touch},	 {5, &Model::open},	     {4, &Model::close},
	{1, &Model::fork},	 {1, &Model::exit},	     {4, &Model::change_space},
	{1, &Model::add_branch}, {2, &Model::remove_branch}, {1, &Model::detach_branch},
};

void Model::step()
{
	unsigned int all = 0;

	for (const Choice &choice : choices)
		all += choice.weight;

	unsigned int at = random_.below(all);
	unsigned int way = 0;

	while (at >= choices[way].weight)
		at -= choices[way++].weight;
	step_ = {};
	(this->*choices[way].take)();
	done_[way] += step_.name && !is_error(reinterpret_cast<const void *>(step_.result));
}

bool Model::has_done_all() const
{
	for (unsigned int done : done_) {
		if (!done)
			return false;
	}
	return true;
}

} // namespace aufs::test
