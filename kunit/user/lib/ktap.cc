// SPDX-License-Identifier: GPL-2.0-only
//
// The runner behind ktap.hh; linked into every test program.

#include "ktap.hh"

#include <cstdarg>
#include <ctime>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace ktap
{

std::vector<Case> &cases()
{
	static std::vector<Case> list;
	return list;
}

std::vector<Helper> &helpers()
{
	static std::vector<Helper> list;
	return list;
}

std::string format(const char *fmt, ...)
{
	va_list args, again;
	va_start(args, fmt);
	va_copy(again, args);
	int length = vsnprintf(nullptr, 0, fmt, args);
	va_end(args);
	std::string text(length > 0 ? length : 0, '\0');
	vsnprintf(text.data(), text.size() + 1, fmt, again);
	va_end(again);
	return text;
}

std::string errno_name(int error)
{
	const char *name = strerrorname_np(error);
	return name ? name : std::to_string(error);
}

std::string quote(const std::string &text)
{
	constexpr size_t limit = 4000;
	std::string quoted = "\"";
	for (char c : text.substr(0, limit)) {
		if (c == '\n')
			quoted += "\\n";
		else if (c == '"' || c == '\\')
			quoted += std::string("\\") + c;
		else if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) > '~')
			quoted += format("\\x%02x", static_cast<unsigned char>(c));
		else
			quoted += c;
	}
	return quoted + (text.size() > limit ? "\"... (cut)" : "\"");
}

static std::string indent()
{
	return std::string(4 * depth, ' ');
}

void say(const std::string &text)
{
	std::string lines;
	size_t at = 0;
	while (at <= text.size()) {
		size_t end = text.find('\n', at);
		if (end == std::string::npos)
			end = text.size();
		lines += indent() + "# " + text.substr(at, end - at) + "\n";
		at = end + 1;
	}
	/* One write, so that lines of several processes do not mix. */
	fflush(stdout);
	if (write(STDOUT_FILENO, lines.data(), lines.size()) < 0)
		_exit(99);
}

void fail(const char *file, int line, const std::string &what)
{
	const char *slash = strrchr(file, '/');
	/* A loop that fails would repeat itself. The count decides. */
	constexpr int shown = 20;
	int before = __atomic_fetch_add(&shared->failures, 1, __ATOMIC_RELAXED);
	if (before == shown)
		say(current_name + ": further failures are not shown");
	if (before >= shown)
		return;
	say(format("%s: EXPECTATION FAILED at %s:%d\nExpected %s", current_name.c_str(),
		   slash ? slash + 1 : file, line, what.c_str()));
}

bool check_contains(const std::string &text, const std::string &part, bool wanted, const char *name,
		    const char *file, int line)
{
	if ((text.find(part) != std::string::npos) == wanted)
		return true;
	fail(file, line,
	     format("%s %s %s\n  it is %s", name, wanted ? "contains" : "does not contain",
		    quote(part).c_str(), quote(text).c_str()));
	return false;
}

int wait_for(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

const char *env(const char *name)
{
	const char *value = getenv(name);
	if (value && *value)
		return value;
	printf("Bail out! %s is not set: the guest's test runner has to set it\n", name);
	fflush(stdout);
	_exit(1);
}

unsigned patience()
{
	const char *given = getenv("AUFS_PATIENCE");
	return given && *given ? atoi(given) : 1;
}

/* The mount points below @dir, the innermost last, by /proc/self/mountinfo. */
static std::vector<std::string> mounts_below(const std::string &dir)
{
	std::vector<std::string> found;
	char *line = nullptr;
	size_t size = 0;
	FILE *table = fopen("/proc/self/mountinfo", "re");
	if (!table)
		return found;
	while (getline(&line, &size, table) > 0) {
		char point[4096];
		if (sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1)
			continue;
		std::string plain;
		for (const char *c = point; *c; c++) {
			unsigned code;
			if (*c == '\\' && sscanf(c + 1, "%3o", &code) == 1) {
				plain += static_cast<char>(code);
				c += 3;
			} else
				plain += *c;
		}
		if (plain.rfind(dir + "/", 0) == 0)
			found.push_back(plain);
	}
	free(line);
	fclose(table);
	return found;
}

/* Unmounts what a case left mounted. Returns whether there was anything. */
static bool unmount_leftovers()
{
	bool any = false;
	for (const char *name : {"AUFS_MNT", "AUFS_TMP", "AUFS_TOP", "AUFS_LOW", "AUFS_LOW2"}) {
		std::vector<std::string> left = mounts_below(env(name));
		for (size_t i = left.size(); i-- > 0;) {
			say("left mounted: " + left[i]);
			any = true;
			if (umount2(left[i].c_str(), 0) && umount2(left[i].c_str(), MNT_DETACH))
				say(format("cannot unmount %s: %s", left[i].c_str(),
					   errno_name(errno).c_str()));
		}
	}
	return any;
}

static void say_file(const std::string &path)
{
	char text[4096];
	int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (length > 0)
		say(path + ": " +
		    std::string(text, text[length - 1] == '\n' ? length - 1 : length));
	if (fd >= 0)
		close(fd);
}

/* Prints where the processes of session @leader are, for a case that ran out of time. */
static void say_where(pid_t leader)
{
	DIR *proc = opendir("/proc");
	while (dirent *entry = proc ? readdir(proc) : nullptr) {
		pid_t pid = atoi(entry->d_name);
		if (pid <= 0 || getsid(pid) != leader)
			continue;
		for (const char *name : {"syscall", "stack"})
			say_file(format("/proc/%d/%s", pid, name));
	}
	if (proc)
		closedir(proc);
}

static int64_t now_ms()
{
	timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Waits until @pid has ended, at most @ms milliseconds. */
static bool ended_within(pid_t pid, int64_t ms)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return false;
	pollfd ready = {fd, POLLIN, 0};
	int64_t end = now_ms() + ms;
	int count;
	do {
		int64_t left = end - now_ms();
		count = poll(&ready, 1, left > 0 ? left : 0);
	} while (count < 0 && errno == EINTR);
	close(fd);
	return count > 0;
}

/* Runs one body in a child. Returns whether it passed; a skipped one did. */
static bool run_body(void (*body)(), unsigned seconds)
{
	if (const char *limit = getenv("AUFS_LIMIT"))
		seconds = atoi(limit);
	else
		seconds *= patience();
	*shared = {};
	fflush(nullptr);
	pid_t pid = fork();
	if (pid < 0) {
		say(format("cannot fork: %s", errno_name(errno).c_str()));
		return false;
	}
	if (pid == 0) {
		setsid();
		run_and_exit(body);
	}
	bool fine = true;
	if (!ended_within(pid, seconds * 1000LL)) {
		say(format("%s: no end after %u seconds", current_name.c_str(), seconds));
		say_where(pid);
		kill(pid, SIGKILL);
		kill(-pid, SIGKILL);
		fine = false;
		if (!ended_within(pid, 20000)) {
			printf("Bail out! %s cannot be killed: it hangs in the kernel\n",
			       current_name.c_str());
			fflush(stdout);
			_exit(1);
		}
	}
	int code = wait_for(pid);
	if (code > 128)
		say(format("%s: killed by signal %d (%s)", current_name.c_str(), code - 128,
			   strsignal(code - 128)));
	else if (code)
		say(format("%s: ended with status %d", current_name.c_str(), code));
	fine = fine && code == 0;
	/* Processes that the case did not wait for keep its mounts busy. */
	kill(-pid, SIGKILL);
	while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR)
		;
	if (unmount_leftovers())
		fine = false;
	return fine && !shared->failures;
}

static void result(bool fine, size_t number, const std::string &name)
{
	printf("%s%sok %zu %s%s%s\n", indent().c_str(), fine ? "" : "not ", number, name.c_str(),
	       fine && shared->skip[0] ? " # SKIP " : "", fine ? shared->skip : "");
	fflush(stdout);
}

static bool run_case(const Case &test)
{
	if (test.params.empty()) {
		current_name = test.name;
		return run_body(test.body, test.seconds);
	}
	bool fine = true;
	depth++;
	printf("%sKTAP version 1\n%s# Subtest: %s\n%s1..%zu\n", indent().c_str(), indent().c_str(),
	       test.name, indent().c_str(), test.params.size());
	for (size_t i = 0; i < test.params.size(); i++) {
		current_param = test.params[i];
		current_name = std::string(test.name) + "." + current_param;
		bool passed = run_body(test.body, test.seconds);
		result(passed, i + 1, current_param);
		fine = fine && passed;
	}
	depth--;
	*shared = {};
	return fine;
}

int run_program(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--helper")) {
		for (const Helper &helper : helpers())
			if (!strcmp(helper.name, argv[2]))
				return helper.body(argc - 2, argv + 2);
		fprintf(stderr, "%s: there is no helper named %s\n", argv[0], argv[2]);
		return 2;
	}
	std::vector<Case> chosen;
	for (const Case &test : cases()) {
		bool wanted = argc == 1;
		for (int i = 1; i < argc; i++)
			wanted = wanted || !strcmp(argv[i], test.name);
		if (wanted)
			chosen.push_back(test);
	}
	if (chosen.empty()) {
		fprintf(stderr, "usage: %s [CASE...]; the cases are:\n", argv[0]);
		for (const Case &test : cases())
			fprintf(stderr, "  %s\n", test.name);
		return 2;
	}
	for (const char *name : {"AUFS_MNT", "AUFS_TMP", "AUFS_TOP", "AUFS_LOW", "AUFS_LOW2"})
		env(name);
	shared = static_cast<Shared *>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	umask(022);
	size_t failed = 0;
	printf("KTAP version 1\n1..%zu\n", chosen.size());
	for (size_t i = 0; i < chosen.size(); i++) {
		bool fine = run_case(chosen[i]);
		result(fine, i + 1, chosen[i].name);
		failed += !fine;
	}
	return failed ? 1 : 0;
}

} // namespace ktap

int main(int argc, char **argv)
{
	return ktap::run_program(argc, argv);
}
