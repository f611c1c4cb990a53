// SPDX-License-Identifier: GPL-2.0-only
//
// Branches with encrypted directories (fscrypt): their names and data come and go with the key. The union asks again
// for names in encrypted directories, and trusts its cache for all others.
//
// Combinations: ext4

#include "disk.hh"

#include <sys/ioctl.h>

#include <linux/fscrypt.h>

using Names = std::vector<string>;

namespace
{

/* Adds this program's key, which is no secret, to the filesystem at @path. */
fscrypt_key_specifier add_key(const string &path)
{
	alignas(fscrypt_add_key_arg) char room[sizeof(fscrypt_add_key_arg) + FSCRYPT_MAX_KEY_SIZE] =
		{};
	auto &key = *reinterpret_cast<fscrypt_add_key_arg *>(room);
	Fd dir = open_file(path, O_RDONLY | O_DIRECTORY);

	key.key_spec.type = FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER;
	key.raw_size = FSCRYPT_MAX_KEY_SIZE;
	memset(key.raw, 0x5a, FSCRYPT_MAX_KEY_SIZE);
	OK(ioctl(dir, FS_IOC_ADD_ENCRYPTION_KEY, &key));
	return key.key_spec;
}

/* Makes the empty directory @path, and encrypts it. */
void make_encrypted(const string &path)
{
	fscrypt_policy_v2 policy = {};

	make_dir(path);
	fscrypt_key_specifier key = add_key(path);
	Fd dir = open_file(path, O_RDONLY | O_DIRECTORY);
	policy.version = FSCRYPT_POLICY_V2;
	policy.contents_encryption_mode = FSCRYPT_MODE_AES_256_XTS;
	policy.filenames_encryption_mode = FSCRYPT_MODE_AES_256_CTS;
	policy.flags = FSCRYPT_POLICY_FLAGS_PAD_32;
	memcpy(policy.master_key_identifier, key.u.identifier, sizeof(key.u.identifier));
	OK(ioctl(dir, FS_IOC_SET_ENCRYPTION_POLICY, &policy));
}

/* An ext4 that can encrypt, with a branch on it: "vault" is encrypted, "plain" is not. */
struct Vault : Union {
	Disk disk{tmp + "/disk", 32 << 20};
	string branch = tmp + "/branch";
	Mounted mounted;

	Vault()
	{
		if (!on("ext4") || !on("ext4", true))
			SKIP("with ext4 only");
		make_ext4(disk.name, {"-O", "encrypt"});
		mount_disk();
		make_dir(branch + "/plain");
		write_file(branch + "/plain/file", "in the open");
		make_encrypted(branch + "/vault");
		make_dir(branch + "/vault/sub");
		write_file(branch + "/vault/sub/inner", "inner");
		write_file(branch + "/vault/secret", pattern(20000));
	}
	void mount_disk()
	{
		mounted = mount_ext4(disk.name, branch);
	}
	/* The key goes with the mount. */
	void lock()
	{
		mounted.unmount();
		OK(rmdir(branch.c_str()));
		mount_disk();
	}
	string lower() const
	{
		return "br=" + top + "=rw:" + branch + "=ro";
	}
	/* The name that users without the key see of the file in the union's vault. */
	string cipher_name() const
	{
		for (const string &name : names_in(at("vault")))
			if (S_ISREG(lstat_of(at("vault/" + name)).st_mode))
				return name;
		return "no file";
	}
	~Vault()
	{
		ktap::guarded([this] {
			if (mounted)
				mounted.unmount();
		});
	}
};

} // namespace

/* Names and data that were seen without the key are forgotten when the key comes. */
CASE(names_follow_the_key)
{
	Vault u;
	u.lock();
	u.mount(u.lower());
	string cipher = u.cipher_name();
	EXPECT_EQ(names_in(u.at("vault")).size(), 2u);
	EXPECT(cipher != "secret" && cipher != "sub");
	EXPECT(!exists(u.at("vault/secret")));
	EXPECT(!exists(u.at("vault/sub/inner")));
	EXPECT_EQ(stat_of(u.at("vault/" + cipher)).st_size, 20000);
	EXPECT_ERR(open(u.at("vault/" + cipher).c_str(), O_RDONLY), ENOKEY);
	EXPECT_EQ(read_file(u.at("plain/file")), "in the open");
	ino_t number = stat_of(u.at("vault/" + cipher)).st_ino;
	add_key(u.branch);
	EXPECT_EQ(names_in(u.at("vault")), (Names{"secret", "sub"}));
	EXPECT(read_file(u.at("vault/secret")) == pattern(20000));
	EXPECT_EQ(read_file(u.at("vault/sub/inner")), "inner");
	EXPECT(!exists(u.at("vault/" + cipher)));
	EXPECT_EQ(stat_of(u.at("vault/secret")).st_ino, number);
	Fd file = open_file(u.at("vault/secret"), O_RDONLY);
	Map map(20000, PROT_READ, MAP_SHARED, file);
	EXPECT(map.text(20000) == pattern(20000));
}

/* Without the key a file cannot be copied up. */
CASE(no_copy_up_without_the_key)
{
	Vault u;
	u.lock();
	u.mount(u.lower());
	string cipher = u.at("vault/" + u.cipher_name());
	EXPECT_ERR(open(cipher.c_str(), O_WRONLY), ENOKEY);
	EXPECT_ERR(chmod(cipher.c_str(), 0600), ENOKEY);
	EXPECT_ERR(truncate(cipher.c_str(), 1), ENOKEY);
	expect_no_debris(u.top);
	add_key(u.branch);
	EXPECT(read_file(u.at("vault/secret")) == pattern(20000));
	EXPECT_EQ(stat_of(u.at("vault/secret")).st_mode & 07777, 0644u);
}

CASE(copy_up_with_the_key)
{
	Vault u;
	u.mount(u.lower());
	Fd file = open_file(u.at("vault/secret"), O_WRONLY | O_APPEND);
	OK(write(file, "more", 4));
	OK(rename(u.at("vault/sub/inner").c_str(), u.at("plain/inner").c_str()));
	EXPECT(read_file(u.at("vault/secret")) == pattern(20000) + "more");
	EXPECT(read_file(u.top + "/vault/secret") == pattern(20000) + "more");
	EXPECT_EQ(read_file(u.at("plain/inner")), "inner");
	EXPECT_EQ(names_in(u.at("vault/sub")), Names{});
	EXPECT_EQ(names_in(u.at("plain")), (Names{"file", "inner"}));
	EXPECT(read_file(u.branch + "/vault/secret") == pattern(20000));
	EXPECT_EQ(read_file(u.branch + "/vault/sub/inner"), "inner");
}

/* A rw branch is encrypted as a whole. */
CASE(encrypted_rw_branch)
{
	Vault u;
	make_dir(u.low + "/sub");
	write_file(u.low + "/sub/file", pattern(9000));
	write_file(u.low + "/gone", "gone");
	string options = "br=" + u.branch + "/vault=rw:" + u.low + "=ro";
	u.mount(options);
	write_file(u.at("sub/new"), "new");
	OK(truncate(u.at("sub/file").c_str(), 8000));
	OK(unlink(u.at("gone").c_str()));
	OK(rename(u.at("secret").c_str(), u.at("sub/secret").c_str()));
	u.unmount();
	expect_no_debris(u.branch + "/vault");
	u.lock();
	/* Without the key the branch shows none of its names. */
	KernelLog log;
	EXPECT_EQ(try_mount(u.mnt, options), ENOKEY);
	EXPECT_EQ(try_mount(u.mnt, "br=" + u.top + "=rw:" + u.branch + "/vault=ro"), ENOKEY);
	EXPECT_HAS(log.read(), "aufs: branch '" + u.branch + "/vault' is encrypted");
	/* The context of a mount that failed keeps no branch. */
	Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
	OK(fsconfig(context, FSCONFIG_SET_STRING, "br", options.substr(3).c_str(), 0));
	EXPECT_ERR(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), ENOKEY);
	add_key(u.branch);
	u.mount(options);
	EXPECT_EQ(names_in(u.mnt), (Names{"sub"}));
	EXPECT_EQ(names_in(u.at("sub")), (Names{"file", "inner", "new", "secret"}));
	EXPECT(read_file(u.at("sub/file")) == pattern(9000).substr(0, 8000));
	EXPECT(read_file(u.at("sub/secret")) == pattern(20000));
}

/*
 * A rename into or out of an encrypted directory is EXDEV. A copy is made in the orphan directory, so none gets a name
 * in an encrypted directory of a rw branch that is not encrypted itself. The copy-up is EXDEV, and loses nothing. All
 * else works.
 */
CASE(encrypted_directory_of_a_rw_branch)
{
	Vault u;
	make_dir(u.low + "/vault");
	write_file(u.low + "/vault/lower", "lower");
	write_file(u.low + "/vault/lower2", "lower2");
	u.mount("br=" + u.branch + "=rw:" + u.low + "=ro");
	write_file(u.at("vault/new"), "new");
	write_file(u.at("vault/secret"), "written");
	OK(unlink(u.at("vault/sub/inner").c_str()));
	OK(rmdir(u.at("vault/sub").c_str()));
	OK(rename(u.at("vault/new").c_str(), u.at("vault/newer").c_str()));
	EXPECT_ERR(open(u.at("vault/lower").c_str(), O_WRONLY), EXDEV);
	EXPECT_ERR(rename(u.at("vault/lower").c_str(), u.at("vault/x").c_str()), EXDEV);
	OK(unlink(u.at("vault/lower2").c_str()));
	EXPECT_EQ(names_in(u.at("vault")), (Names{"lower", "newer", "secret"}));
	EXPECT_EQ(names_in(u.branch + "/vault"), (Names{".wh.lower2", "newer", "secret"}));
	EXPECT_EQ(read_file(u.at("vault/lower")), "lower");
	EXPECT_EQ(read_file(u.at("vault/secret")), "written");
	expect_no_debris(u.branch);
}
