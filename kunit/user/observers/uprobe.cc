// SPDX-License-Identifier: GPL-2.0-only
//
// ->d_real: kernel code that asks a union's path for the real inode gets the inode of the file that runs. uprobes are
// set by path, and are found by the inode of the mapped file, which is the branch's.

#include "proc.hh"
#include "tracing.hh"

/* The function that is probed. */
extern "C" __attribute__((noinline, used)) int aufs_probed_function(int value)
{
	asm volatile("" : "+r"(value));
	return value + 1;
}

HELPER(call_it)
{
	int count = argc > 1 ? atoi(argv[1]) : 1, value = 0;
	while (count-- > 0)
		value = aufs_probed_function(value);
	printf("%d\n", value);
	return 0;
}

/* The offset of the function in the file of this program. */
static unsigned long file_offset()
{
	const void *address = reinterpret_cast<const void *>(&aufs_probed_function);
	Vma vma = vma_at(address);
	return reinterpret_cast<unsigned long>(address) - vma.start + vma.offset;
}

/* A probe of the helpers' function in the program @path. */
struct Probe : CountedEvent {
	Probe(const Tracing &tracing, const string &event, const string &path)
		: CountedEvent(tracing, "uprobe", event,
			       ktap::format("%s:0x%lx", path.c_str(), file_offset()))
	{
	}
};

PARAM_CASE(set_on_the_union, "low", "top")
{
	Tracing tracing("uprobe_events");
	Union u;
	string branch = ktap::param() == "low" ? u.low : u.top;
	copy_self(branch + "/prog");
	u.mount();
	{
		Probe probe(tracing, "on_union", u.at("prog"));
		EXPECT_EQ(probe.count(), 0u);
		EXPECT_EQ(run_helper(u.at("prog"), "call_it", {"5"}).text, "5\n");
		EXPECT_EQ(probe.count(), 5u);
		/* The branch's program is the same file. */
		EXPECT_EQ(run_helper(branch + "/prog", "call_it", {"3"}).text, "3\n");
		EXPECT_EQ(probe.count(), 8u);
	}
	/* The probe has gone, with its change in memory. */
	EXPECT_EQ(run_helper(u.at("prog"), "call_it", {"2"}).text, "2\n");
	u.unmount();
}

CASE(set_on_the_branch)
{
	Tracing tracing("uprobe_events");
	Union u;
	copy_self(u.low + "/prog");
	u.mount();
	{
		Probe probe(tracing, "on_branch", u.low + "/prog");
		EXPECT_EQ(run_helper(u.at("prog"), "call_it", {"4"}).text, "4\n");
		EXPECT_EQ(probe.count(), 4u);
	}
}

CASE(set_while_the_program_runs)
{
	Tracing tracing("uprobe_events");
	Union u;
	copy_self(u.low + "/prog");
	u.mount();
	Pipe in, out;
	pid_t pid = spawn([&] {
		dup2(in.read, STDIN_FILENO);
		dup2(out.write, STDOUT_FILENO);
		in.write.reset();
		execl(u.at("prog").c_str(), "prog", "--helper", "call_for_each_byte", nullptr);
		_exit(127);
	});
	in.read.reset();
	out.write.reset();
	send_byte(in.write);
	ASSERT(wait_byte(out.read));
	{
		Probe probe(tracing, "running", u.at("prog"));
		for (int i = 0; i < 3; i++) {
			send_byte(in.write);
			ASSERT(wait_byte(out.read));
		}
		EXPECT_EQ(probe.count(), 3u);
		/* The process still maps the union's file. */
		EXPECT_GE(vmas_of(u.at("prog"), pid).size(), 3u);
	}
	send_byte(in.write);
	ASSERT(wait_byte(out.read));
	in.write.reset();
	EXPECT_EQ(wait_for(pid), 0);
}

HELPER(call_for_each_byte)
{
	char byte;
	int value = 0;
	while (read(STDIN_FILENO, &byte, 1) == 1) {
		value = aufs_probed_function(value);
		if (write(STDOUT_FILENO, &byte, 1) != 1)
			return 1;
	}
	return 0;
}

/* The probe is set through a union of a union. */
CASE(set_on_a_nested_union)
{
	Tracing tracing("uprobe_events");
	Union u;
	copy_self(u.low + "/prog");
	Mounted inner("none", u.tmp, "aufs", 0, "br=" + u.low + "=ro");
	u.mount("br=" + u.top + ":" + u.tmp);
	{
		Probe probe(tracing, "nested", u.at("prog"));
		EXPECT_EQ(run_helper(u.at("prog"), "call_it", {"2"}).text, "2\n");
		EXPECT_EQ(probe.count(), 2u);
		EXPECT_EQ(run_helper(u.tmp + "/prog", "call_it", {"1"}).text, "1\n");
		EXPECT_EQ(probe.count(), 3u);
	}
	u.unmount();
}
