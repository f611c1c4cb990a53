// SPDX-License-Identifier: GPL-2.0-only
/*
 * The KUnit suites. Each lists its cases in SUITE/SUITE.cases, as CASE(name) lines; the cases are
 * C++, in the files beside it. A line without a case does not link. A case without a line does not
 * compile without a warning.
 */
#include <kunit/test.h>

#include "../support/begin.h"

#define CASE(name) void name(struct kunit *test);
#include "changes/changes.cases"
#include "cxxrt/cxxrt.cases"
#include "leaks/leaks.cases"
#include "prfile/prfile.cases"
#ifdef CONFIG_MMU
#include "damage/damage.cases"
#include "failure/failure.cases"
#include "model/model.cases"
#include "procfs/procfs.cases"
#include "race/race.cases"
#include "security/security.cases"
#include "vma_copy/vma_copy.cases"
#include "vma_merge/vma_merge.cases"
#else
#include "region/region.cases"
#endif
#undef CASE

#define CASE(name) KUNIT_CASE(name),

static struct kunit_case changes_cases[] = {
#include "changes/changes.cases"
	{}};

static struct kunit_suite changes_suite = {
	.name = "aufs_changes",
	.test_cases = changes_cases,
	.init = aufs_test_begin,
};

static struct kunit_case cxxrt_cases[] = {
#include "cxxrt/cxxrt.cases"
	{}};

static struct kunit_suite cxxrt_suite = {
	.name = "aufs_cxxrt",
	.test_cases = cxxrt_cases,
	.init = aufs_test_begin,
};

static struct kunit_case prfile_cases[] = {
#include "prfile/prfile.cases"
	{}};

static struct kunit_suite prfile_suite = {
	.name = "aufs_prfile",
	.test_cases = prfile_cases,
	.init = aufs_test_begin,
};

#ifdef CONFIG_MMU
static struct kunit_case procfs_cases[] = {
#include "procfs/procfs.cases"
	{}};

static struct kunit_suite procfs_suite = {
	.name = "aufs_procfs",
	.test_cases = procfs_cases,
	.init = aufs_test_begin,
};

static struct kunit_case race_cases[] = {
#include "race/race.cases"
	{}};

static struct kunit_suite race_suite = {
	.name = "aufs_race",
	.test_cases = race_cases,
	.init = aufs_test_begin,
};

static struct kunit_case security_cases[] = {
#include "security/security.cases"
	{}};

static struct kunit_suite security_suite = {
	.name = "aufs_security",
	.test_cases = security_cases,
	.init = aufs_test_begin,
};

static struct kunit_case vma_copy_cases[] = {
#include "vma_copy/vma_copy.cases"
	{}};

static struct kunit_suite vma_copy_suite = {
	.name = "aufs_vma_copy",
	.test_cases = vma_copy_cases,
	.init = aufs_test_begin,
};

static struct kunit_case vma_merge_cases[] = {
#include "vma_merge/vma_merge.cases"
	{}};

static struct kunit_suite vma_merge_suite = {
	.name = "aufs_vma_merge",
	.test_cases = vma_merge_cases,
	.init = aufs_test_begin,
};

static struct kunit_case model_cases[] = {
#include "model/model.cases"
	{}};

static struct kunit_suite model_suite = {
	.name = "aufs_model",
	.test_cases = model_cases,
	.init = aufs_test_begin,
};

static struct kunit_case failure_cases[] = {
#include "failure/failure.cases"
	{}};

static struct kunit_suite failure_suite = {
	.name = "aufs_failure",
	.test_cases = failure_cases,
	.init = aufs_test_begin,
};

static struct kunit_case damage_cases[] = {
#include "damage/damage.cases"
	{}};

static struct kunit_suite damage_suite = {
	.name = "aufs_damage",
	.test_cases = damage_cases,
	.init = aufs_test_begin,
};
#else
static struct kunit_case region_cases[] = {
#include "region/region.cases"
	{}};

static struct kunit_suite region_suite = {
	.name = "aufs_region",
	.test_cases = region_cases,
	.init = aufs_test_begin,
};
#endif

static struct kunit_case leaks_cases[] = {
#include "leaks/leaks.cases"
	{}};

static struct kunit_suite leaks_suite = {
	.name = "aufs_leaks",
	.test_cases = leaks_cases,
	.init = aufs_test_begin,
};

/* The suites run in this order. */
#ifdef CONFIG_MMU
kunit_test_suites(&cxxrt_suite, &prfile_suite, &procfs_suite, &security_suite, &vma_copy_suite,
		  &vma_merge_suite, &changes_suite, &race_suite, &model_suite, &failure_suite,
		  &leaks_suite, &damage_suite);
#else
kunit_test_suites(&cxxrt_suite, &prfile_suite, &region_suite, &changes_suite, &leaks_suite);
#endif
