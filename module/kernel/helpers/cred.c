// SPDX-License-Identifier: GPL-2.0-only
/* Helpers for credentials. Alphabetical. */
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

/*
 * Credentials with the rights of the current ones, and with the labels that security modules have
 * given to @labelled; counted, null without memory.
 */
const struct cred *aufs_creds_labelled(const struct cred *labelled)
{
	const struct cred *caller = current_cred();
	const struct cred *old = override_creds(labelled);
	struct cred *cred = prepare_creds();

	revert_creds(old);
	if (!cred)
		return NULL;
	cred->fsuid = caller->fsuid;
	cred->fsgid = caller->fsgid;
	cred->cap_effective = caller->cap_effective;
	put_group_info(cred->group_info);
	cred->group_info = get_group_info(caller->group_info);
	put_user_ns(cred->user_ns);
	cred->user_ns = get_user_ns(caller->user_ns);
	return cred;
}

const struct cred *aufs_current_cred(void)
{
	return current_cred();
}

const struct cred *aufs_get_cred(const struct cred *cred)
{
	return get_cred(cred);
}

/*
 * The current credentials without CAP_SYS_RESOURCE, or also with the fsuid of "nobody", counted;
 * null without memory.
 */
const struct cred *aufs_limited_creds(bool as_nobody)
{
	struct cred *cred = prepare_creds();

	if (!cred)
		return NULL;
	cap_lower(cred->cap_effective, CAP_SYS_RESOURCE);
	if (as_nobody)
		cred->fsuid = KUIDT_INIT(65534);
	return cred;
}

/* Whether the current task may go over quotas and into reserved blocks. */
bool aufs_may_exceed_limits(void)
{
	const struct cred *cred = current_cred();

	return cap_raised(cred->cap_effective, CAP_SYS_RESOURCE) && cred->user_ns == &init_user_ns;
}

#ifdef HAVE_REVERT_CREDS_RETURNS
const struct cred *aufs_override_creds(const struct cred *cred)
{
	return override_creds(cred);
}
#endif

void aufs_put_cred(const struct cred *cred)
{
	put_cred(cred);
}

#ifdef HAVE_REVERT_CREDS_RETURNS
void aufs_revert_creds(const struct cred *old)
{
	revert_creds(old);
}
#endif
