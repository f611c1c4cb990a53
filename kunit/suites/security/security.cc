// SPDX-License-Identifier: GPL-2.0-only
/*
 * mprotect(2) is judged by the user's file, as mmap(2) was. Each security module is asked by its own interface for
 * administrators, and decides nothing for tasks that the case does not ask about.
 */
#include "mmap/branch_file.hh"
#include "support/show.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "security.cases"
#undef CASE
}

using namespace aufs;
using namespace aufs::test;

namespace
{

constexpr unsigned long read_exec = PROT_READ | PROT_EXEC;

/*
 * A filesystem by which a module is configured and asked, in this scope. Meanwhile the log takes all audit messages,
 * without a limit. Needs /proc.
 */
class Control final
{
public:
	Control(struct kunit *test, const char *type) : test_(test)
	{
		mounted_ = EXPECT_EQ(test, aufs_test_mkdir(at), 0) &&
			   EXPECT_EQ(test, aufs_test_mount("none", at, type, nullptr), 0);
		EXPECT(test, aufs_test_write(log_limit, "0") > 0);
	}
	Control(const Control &) = delete;
	Control &operator=(const Control &) = delete;
	~Control()
	{
		/* Five seconds is the default. */
		EXPECT(test_, aufs_test_write(log_limit, "5") > 0);
		flush_delayed_fput();
		if (mounted_)
			EXPECT_EQ(test_, aufs_test_umount(at), 0);
	}

	static constexpr char at[] = "/control";

	static bool possible(const char *type)
	{
		return aufs_test_supers(type) >= 0;
	}
	bool ok() const
	{
		return mounted_;
	}

private:
	static constexpr char log_limit[] = "/proc/sys/kernel/printk_ratelimit";

	struct kunit *test_;
	bool mounted_ = false;
};

/* Whether an audit message comes to the log, which takes some time. */
bool is_audited(const char *text, const char *more)
{
	for (int tries = 0; tries < 200; ++tries) {
		if (aufs_test_is_logged_with(text, more))
			return true;
		aufs_test_sleep(10);
	}
	return false;
}

/* Makes the first page of a mapping executable by mprotect(2), and the mapping as it was. */
long allow_exec(unsigned long addr)
{
	long err = aufs_test_mprotect(addr, PAGE_SIZE, read_exec);

	return err ? err : aufs_test_mprotect(addr, PAGE_SIZE, PROT_READ);
}

/*
 * A profile as apparmor_parser makes it of `profile aufs_test flags=(complain) {}`: it allows nothing, and what is done
 * nevertheless is logged.
 */
class Policy final
{
public:
	constexpr Policy()
	{
		name("version");
		number(5);
		name("profile");
		put(structure);
		text(string, "aufs_test");
		name("flags");
		put(structure);
		number(0);
		number(complain);
		number(0);
		put(structure_end);
		for (int i = 0; i < capability_sets; ++i)
			number(0);
		put(structure_end);
	}
	constexpr const void *data() const
	{
		return bytes_;
	}
	constexpr unsigned int size() const
	{
		return size_;
	}

private:
	/* The kinds of fields in it. */
	static constexpr unsigned char u32_value = 2;
	static constexpr unsigned char tag = 4;
	static constexpr unsigned char string = 5;
	static constexpr unsigned char structure = 7;
	static constexpr unsigned char structure_end = 8;
	static constexpr unsigned int complain = 1;
	/* The sets of allowed, audited and quiet capabilities, and one that is not used any more. */
	static constexpr int capability_sets = 4;

	constexpr void put(unsigned char byte)
	{
		bytes_[size_++] = byte;
	}
	constexpr void number(unsigned int value)
	{
		put(u32_value);
		for (unsigned int shift = 0; shift < 32; shift += 8)
			put(static_cast<unsigned char>(value >> shift));
	}
	constexpr void text(unsigned char kind, StringView value)
	{
		/* The size includes the terminating zero. */
		put(kind);
		put(static_cast<unsigned char>(value.size() + 1));
		put(0);
		for (unsigned int i = 0; i < value.size(); ++i)
			put(static_cast<unsigned char>(value[i]));
		put(0);
	}
	constexpr void name(StringView value)
	{
		text(tag, value);
	}

	unsigned char bytes_[128]{};
	unsigned int size_ = 0;
};

} // namespace

/* A profile that only complains logs the file by which it judges. */
CASE_BODY(security_apparmor)
{
	static constexpr Policy policy;

	if (!Control::possible("securityfs"))
		return aufs_test_skip(test, "there is no securityfs");

	ShowSetup setup(test);
	Control control(test, "securityfs");

	if (!setup.ok() || !control.ok())
		return;
	if (!aufs_test_exists("/control/apparmor/.load"))
		return aufs_test_skip(test, "AppArmor is not active");
	EXPECT_EQ(test,
		  aufs_test_write_bytes("/control/apparmor/.load", policy.data(), policy.size()),
		  policy.size());
	in_process(test, [&]() {
		if (!EXPECT(test, aufs_test_write("/proc/self/attr/current",
						  "changeprofile aufs_test") > 0))
			return;

		/* A file that was opened without a profile is not checked again. */
		auto file = setup.mount.open("/union/file", O_RDONLY);

		if (!file)
			return;

		unsigned long addr = MAP(test, *file, 1, 0, PROT_READ);

		EXPECT_EQ(test, allow_exec(addr), 0);
	});
	EXPECT(test, is_audited("operation=\"open\"", "name=\"/union/file\""));
	EXPECT(test, is_audited("operation=\"file_mprotect\"", "name=\"/union/file\""));
	EXPECT(test, aufs_test_write("/control/apparmor/.remove", "aufs_test") > 0);
}

/* A rule for a filesystem, and there only for the files of an owner that has no others. */
CASE_BODY(security_ima)
{
	static const char rule[] = "appraise func=MMAP_CHECK fsname=aufs fowner=4711\n";
	constexpr unsigned int owner = 4711;

	if (!Control::possible("securityfs"))
		return aufs_test_skip(test, "there is no securityfs");

	ShowSetup setup(test);
	Control control(test, "securityfs");

	if (!setup.ok() || !control.ok())
		return;
	if (!aufs_test_exists("/control/ima"))
		return aufs_test_skip(test, "there is no IMA");

	auto plain = setup.mount.make("/branches/rw/plain", 1);

	if (!plain)
		return;
	EXPECT_EQ(test, aufs_test_chown("/union/file", owner), 0);
	EXPECT_EQ(test, aufs_test_chown("/branches/rw/plain", owner), 0);

	unsigned long plain_addr = MAP(test, *plain, 1, 0, PROT_READ);
	unsigned long addr = MAP(test, *setup.file, 1, 0, PROT_READ);

	EXPECT_EQ(test, allow_exec(addr), 0);
	EXPECT(test, aufs_test_write("/control/ima/policy", rule) > 0);
	/* The rule is in force when the file is closed. */
	flush_delayed_fput();
	EXPECT_EQ(test, allow_exec(plain_addr), 0);
	EXPECT_EQ(test, allow_exec(addr), -EPERM);
	EXPECT(test, is_audited("cause=failed-mprotect", "name=\"/union/file\""));
}

/* IPE's policy (ipe.policy) allows everything, and logs what it allowed. */
CASE_BODY(security_ipe)
{
	if (!Control::possible("securityfs"))
		return aufs_test_skip(test, "there is no securityfs");

	ShowSetup setup(test);
	Control control(test, "securityfs");

	if (!setup.ok() || !control.ok())
		return;
	if (!aufs_test_exists("/control/ipe/success_audit"))
		return aufs_test_skip(test, "IPE is not active");

	unsigned long addr = MAP(test, *setup.file, 1, 0, PROT_READ);

	EXPECT_EQ(test, aufs_test_write("/control/ipe/success_audit", "1"), 1);
	EXPECT_EQ(test, allow_exec(addr), 0);
	EXPECT_EQ(test, aufs_test_write("/control/ipe/success_audit", "0"), 1);
	EXPECT(test, is_audited("ipe_hook=MPROTECT", "path=\"/union/file\""));
}

namespace
{

/* How often SELinux had to compute an access decision. Without a policy each is "allowed". */
long computed(struct kunit *test)
{
	static constexpr StringView misses_end = "\n";
	Text text("/control/avc/cache_stats");
	StringView rest = text.view();
	long sum = 0;

	if (!EXPECT(test, text.exists()))
		return 0;
	/* There is a line of names, then a line for each CPU: lookups, hits, misses, ... */
	while (!rest.empty()) {
		unsigned int column = 0;
		long value = 0;

		while (!rest.empty() && !rest.starts_with(misses_end)) {
			if (rest[0] == ' ')
				++column;
			else if (column == 2 && rest[0] >= '0' && rest[0] <= '9')
				value = value * 10 + (rest[0] - '0');
			rest = rest.substr(1);
		}
		sum += value;
		if (!rest.empty())
			rest = rest.substr(1);
	}
	return sum;
}

} // namespace

/*
 * Without a policy SELinux allows everything, but it caches the decisions. A decision depends on the label of the task
 * that opened the file. One task opens the union's file and the branch's. So another task opens a third file here, to
 * tell them apart.
 */
CASE_BODY(security_selinux)
{
	if (!Control::possible("selinuxfs"))
		return aufs_test_skip(test, "SELinux is not active");

	ShowSetup setup(test);
	Control control(test, "selinuxfs");

	if (!setup.ok() || !control.ok())
		return;

	auto other = setup.mount.make("/branches/rw/other", 1);

	if (!other)
		return;

	unsigned long reporting = MAP(test, *other, 1, 0, PROT_READ);
	unsigned long plain = MAP(test, *other, 1, 0, PROT_READ);

	in_process(test, [&]() {
		static const char label[] = "/proc/self/attr/current";

		EXPECT(test, aufs_test_write(label, "netif") > 0);

		auto file = setup.mount.open("/union/file", O_RDONLY);

		EXPECT(test, aufs_test_write(label, "port") > 0);
		if (!file)
			return;

		/* From here on SELinux has cached that "port" uses files that "netif" has opened. */
		MAP(test, *file, 1, 0, PROT_READ);
		report(aufs_test_current_mm(), reporting, *file);
		/* Reading the statistics adds decisions itself. */
		computed(test);

		long before = computed(test);

		EXPECT_EQ(test, computed(test), before);
		EXPECT_EQ(test, allow_exec(reporting), 0);
		EXPECT_EQ(test, computed(test), before);
		/* For a file that the case's own thread has opened the decision is new. */
		EXPECT_EQ(test, allow_exec(plain), 0);
		EXPECT(test, computed(test) > before);
	});
	setup.space.end();
	EXPECT_EQ(test, aufs_test_file_count(other.get()), 1);
}
