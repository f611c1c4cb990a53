// SPDX-License-Identifier: GPL-2.0-only
/* The seed and the length of the model's random walk: aufs.model_seed=, aufs.model_steps= */
#include <linux/moduleparam.h>
#include <linux/random.h>

#include "../../module/kernel/linux.h"
#include "generated/declared.h"
#include "../../module/kernel/api.h"
#include "shim.h"

static unsigned long model_seed;
module_param(model_seed, ulong, 0444);
MODULE_PARM_DESC(model_seed,
		 "where the random walk of the KUnit suite aufs_model begins (0: anywhere)");

static unsigned int model_steps = 100000;
module_param(model_steps, uint, 0444);
MODULE_PARM_DESC(model_steps, "how many steps it takes");

unsigned long aufs_test_model_seed(void)
{
	return model_seed ?: (unsigned long)get_random_u64() | 1;
}

unsigned int aufs_test_model_steps(void)
{
	return model_steps;
}
