/* SPDX-License-Identifier: GPL-2.0-only */
//
// ACLs as extended attributes have them.
#pragma once

#include "fixture.hh"

#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

inline constexpr const char *access_acl = "system.posix_acl_access";
inline constexpr const char *default_acl = "system.posix_acl_default";
inline constexpr uint32_t no_id = ACL_UNDEFINED_ID;

struct AclEntry {
	uint16_t tag, perm;
	uint32_t id;
};

inline string acl(const std::vector<AclEntry> &entries)
{
	uint32_t version = POSIX_ACL_XATTR_VERSION;
	string value(reinterpret_cast<const char *>(&version), sizeof(version));
	for (const AclEntry &entry : entries)
		value.append(reinterpret_cast<const char *>(&entry), sizeof(entry));
	return value;
}
