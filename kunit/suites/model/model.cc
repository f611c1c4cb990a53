// SPDX-License-Identifier: GPL-2.0-only
/* The suite of the model: random walks, and a check that the model sees what is wrong. */
#include "model.hh"
#include "mmap/mapping.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "model.cases"
#undef CASE
}

using namespace aufs;
using namespace aufs::test;

namespace
{

/* So many steps that each kind of step occurs. */
constexpr unsigned int enough = 3000;

bool walk_from(struct kunit *test, u64 seed, unsigned int steps)
{
	auto model = Own<Model>::adopt(new (Gfp{GFP_KERNEL}) Model(test, seed));

	return EXPECT(test, model) && model->ok() && model->walk(steps) &&
	       EXPECT(test, steps < enough || model->has_done_all()) && model->end();
}

/* The number of parts in model.cases. */
constexpr unsigned int parts = 16;

/*
 * KUnit gives a case five minutes, but on an emulated machine all the steps can take longer. So each case walks a part
 * of them, from a seed of its own. A run with the printed seed walks that part first.
 */
void walk_a_part(struct kunit *test, unsigned int number)
{
	u64 seed = aufs_test_model_seed() + number - 1;
	unsigned int steps = aufs_test_model_steps();

	aufs_test_info(test, "aufs.model_seed=%llu aufs.model_steps=%u, one of %u parts", seed,
		       steps, parts);
	walk_from(test, seed, steps / parts);
}

} // namespace

/* Everything that is compared is made wrong once. The model has to report it, and be content again afterwards. */
CASE_BODY(model_sees_what_is_wrong)
{
	auto model = Own<Model>::adopt(new (Gfp{GFP_KERNEL}) Model(test, 1));

	if (!EXPECT(test, model) || !model->ok() || !EXPECT(test, model->begin_with(4)))
		return;

	Open &open = model->first_open();
	unsigned long addr = model->addr(0);
	auto report = [](struct vm_area_struct *vma, void *data) {
		set_prfile(*vma, Ref<struct file>::retain(static_cast<struct file *>(data)));
	};

	EXPECT(test, !model->compare_all());
	{
		auto more = Ref<struct file>::retain(open.user);

		EXPECT(test, model->compare_current());
	}
	EXPECT(test, !model->compare_current());
	{
		auto more = Ref<struct file>::retain(open.branch);

		EXPECT(test, model->compare_current());
	}
	EXPECT(test, !model->compare_current());
	EXPECT(test, aufs_test_change_vma(addr, report, open.branch));
	EXPECT(test, model->compare_current());
	EXPECT(test, aufs_test_change_vma(addr, report, open.user));
	EXPECT(test, !model->compare_current());
	EXPECT_EQ(test, aufs_test_madvise(addr, PAGE_SIZE, MADV_DONTFORK), 0);
	EXPECT(test, model->compare_current());
	EXPECT_EQ(test, aufs_test_madvise(addr, PAGE_SIZE, MADV_DOFORK), 0);
	EXPECT(test, !model->compare_current());
	EXPECT_EQ(test, aufs_test_mprotect(addr, PAGE_SIZE, PROT_NONE), 0);
	EXPECT(test, model->compare_current());
	EXPECT_EQ(test, aufs_test_mprotect(addr, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	EXPECT(test, !model->compare_current());
	EXPECT_EQ(test, aufs_test_remap_file_pages(addr, PAGE_SIZE, 3), 0);
	EXPECT(test, model->compare_current());
	EXPECT_EQ(test, aufs_test_remap_file_pages(addr, PAGE_SIZE, 0), 0);
	EXPECT(test, !model->compare_current());
	EXPECT_EQ(test, vm_munmap(addr + PAGE_SIZE, PAGE_SIZE), 0);
	EXPECT(test, model->compare_current());
	EXPECT_EQ(test,
		  map(*open.user, 1, 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		      addr + PAGE_SIZE),
		  addr + PAGE_SIZE);
	EXPECT(test, !model->compare_current());
	EXPECT_EQ(test,
		  map(*open.user, 1, 4, PROT_READ, MAP_SHARED | MAP_FIXED,
		      model->addr(Space::window)),
		  model->addr(Space::window));
	EXPECT(test, model->compare_current());
	EXPECT_EQ(test, vm_munmap(model->addr(Space::window), PAGE_SIZE), 0);
	EXPECT(test, model->leads_right());
	EXPECT_EQ(test, aufs_test_change(Union::at, "append:/branches/m1"), 0);
	EXPECT(test, !model->leads_right());
	EXPECT_EQ(test, aufs_test_change(Union::at, "detach:/branches/m1"), 0);
	EXPECT(test, model->leads_right());
	EXPECT(test, !model->compare_all());
	EXPECT(test, model->end());
}

CASE_BODY(model_known_walks)
{
	for (u64 seed = 1; seed <= 5; ++seed) {
		if (!walk_from(test, seed, enough))
			return;
	}
}

#define WALK(number)                                                                               \
	CASE_BODY(model_random_walk_##number)                                                      \
	{                                                                                          \
		walk_a_part(test, number);                                                         \
	}

WALK(1)
WALK(2)
WALK(3)
WALK(4)
WALK(5)
WALK(6)
WALK(7)
WALK(8)
WALK(9)
WALK(10)
WALK(11)
WALK(12)
WALK(13)
WALK(14)
WALK(15)
WALK(16)
