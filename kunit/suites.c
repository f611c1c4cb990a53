// SPDX-License-Identifier: GPL-2.0-only
/*
 * The KUnit suites. Each lists its cases in SUITE.cases, as CASE(name) lines;
 * the cases themselves are C++, in SUITE.cc. A line without a case does not
 * link, a case without a line does not compile without a warning.
 */
#include <kunit/test.h>

#define CASE(name) void name(struct kunit *test);
#include "failure.cases"
#include "leaks.cases"
#include "model.cases"
#include "prfile.cases"
#include "procfs.cases"
#include "vma_copy.cases"
#include "vma_merge.cases"
#undef CASE

#define CASE(name) KUNIT_CASE(name),

/* Without an MMU no two mappings become one, and no mapping is cut or moved. */
static int needs_mmu(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_MMU))
		kunit_skip(test, "no MMU");
	return 0;
}

static struct kunit_case prfile_cases[] = {
#include "prfile.cases"
	{}};

static struct kunit_suite prfile_suite = {
	.name = "aufs_prfile",
	.test_cases = prfile_cases,
};

static struct kunit_case procfs_cases[] = {
#include "procfs.cases"
	{}};

static struct kunit_suite procfs_suite = {
	.name = "aufs_procfs",
	.test_cases = procfs_cases,
};

static struct kunit_case vma_copy_cases[] = {
#include "vma_copy.cases"
	{}};

static struct kunit_suite vma_copy_suite = {
	.name = "aufs_vma_copy",
	.test_cases = vma_copy_cases,
};

static struct kunit_case failure_cases[] = {
#include "failure.cases"
	{}};

static struct kunit_suite failure_suite = {
	.name = "aufs_failure",
	.test_cases = failure_cases,
};

static struct kunit_case vma_merge_cases[] = {
#include "vma_merge.cases"
	{}};

static struct kunit_suite vma_merge_suite = {
	.name = "aufs_vma_merge",
	.init = needs_mmu,
	.test_cases = vma_merge_cases,
};

static struct kunit_case model_cases[] = {
#include "model.cases"
	{}};

static struct kunit_suite model_suite = {
	.name = "aufs_model",
	.init = needs_mmu,
	.test_cases = model_cases,
};

static struct kunit_case leaks_cases[] = {
#include "leaks.cases"
	{}};

static struct kunit_suite leaks_suite = {
	.name = "aufs_leaks",
	.test_cases = leaks_cases,
};

/* They run in this order. */
kunit_test_suites(&prfile_suite, &procfs_suite, &vma_copy_suite, &vma_merge_suite, &model_suite,
		  &failure_suite, &leaks_suite);
