// SPDX-License-Identifier: GPL-2.0-only
//
// A small KTAP harness for tests that run in user space, in the guest.
//
//   CASE(name) { ... }                 one test case
//   PARAM_CASE(name, "a", "b") { ... } one case per string, in param(); a KTAP subtest
//   PARAM_CASE_OF(name, list) { ... }  the same, for a list that is made at the start
//   HELPER(name) { ... }               code that runs as `program --helper name ARG...`
//
// Each case runs in a forked child in its own session, with a time limit, so that a crash or a
// hang is one failed case. EXPECT_* records a failure and goes on; ASSERT_* and OK() leave the case
// by an exception, so that the destructors of its fixtures unmount what it mounted.
#pragma once

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

namespace ktap
{

struct Abort {
};
struct Skip {
	std::string reason;
};

struct Case {
	const char *name;
	void (*body)();
	std::vector<const char *> params;
	unsigned seconds;
};

struct Helper {
	const char *name;
	int (*body)(int argc, char **argv);
};

/* Shared between the runner and all processes of a case: a failure in any of them counts. */
struct Shared {
	int failures;
	char skip[256];
};

inline Shared *shared;
inline int depth; /* nesting of the KTAP output, 4 columns each */
inline std::string current_name; /* "case" or "case.param": names directories of fixtures */
inline std::string current_param;

inline constexpr unsigned default_seconds = 180;

std::vector<Case> &cases();
std::vector<Helper> &helpers();

struct Register {
	Register(const char *name, void (*body)(), std::vector<const char *> params = {},
		 unsigned seconds = default_seconds)
	{
		cases().push_back({name, body, std::move(params), seconds});
	}
};

struct RegisterHelper {
	RegisterHelper(const char *name, int (*body)(int, char **))
	{
		helpers().push_back({name, body});
	}
};

inline const std::string &param()
{
	return current_param;
}

/* Prints a diagnostic line ("# ..."), each line of a longer text by itself. */
void say(const std::string &text);
std::string format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
std::string errno_name(int error);
std::string quote(const std::string &text);

/* Whether T is a text. A char * is an address, as mmap() gives it. */
template <typename T>
inline constexpr bool is_text = std::is_convertible_v<T, std::string> && !std::is_same_v<T, char *>;

/* How a value looks in a failure message. */
template <typename T> std::string show(const T &value)
{
	if constexpr (std::is_same_v<T, bool>)
		return value ? "true" : "false";
	else if constexpr (std::is_same_v<std::remove_cv_t<T>, char>)
		return quote(std::string(1, value));
	else if constexpr (std::is_enum_v<T>)
		return std::to_string(static_cast<long long>(value));
	else if constexpr (std::is_floating_point_v<T>)
		return std::to_string(value);
	else if constexpr (std::is_integral_v<T>) {
		std::string text = std::to_string(value);
		if (value > 4096)
			text += format(" (%#llx)", static_cast<unsigned long long>(value));
		return text;
	} else if constexpr (is_text<T>)
		return quote(std::string(value));
	else if constexpr (std::is_pointer_v<T>)
		return format("%p", static_cast<const void *>(value));
	else {
		std::string text = "{";
		for (const auto &item : value)
			text += (text.size() > 1 ? ", " : " ") + show(item);
		return text + " }";
	}
}

template <typename A, typename B> int compare(const A &a, const B &b)
{
	constexpr bool characters = std::is_same_v<std::remove_cv_t<A>, char> ||
				    std::is_same_v<std::remove_cv_t<B>, char>;
	constexpr bool booleans = std::is_same_v<A, bool> || std::is_same_v<B, bool>;

	if constexpr (std::is_integral_v<A> && std::is_integral_v<B> && !booleans && !characters)
		return std::cmp_less(a, b) ? -1 : std::cmp_equal(a, b) ? 0 : 1;
	else if constexpr (is_text<A> && is_text<B>) {
		int sign = std::string(a).compare(std::string(b));
		return sign < 0 ? -1 : sign > 0;
	} else
		return a < b ? -1 : a == b ? 0 : 1;
}

void fail(const char *file, int line, const std::string &what);

template <typename A, typename B>
bool check_compare(bool (*verdict)(int), const char *op, const A &a, const B &b, const char *a_text,
		   const char *b_text, const char *file, int line)
{
	if (verdict(compare(a, b)))
		return true;
	fail(file, line,
	     format("%s %s %s\n  %s == %s\n  %s == %s", a_text, op, b_text, a_text, show(a).c_str(),
		    b_text, show(b).c_str()));
	return false;
}

/* Whether the result of a system call is a failure. */
template <typename T> bool is_error(const T &result)
{
	if constexpr (std::is_same_v<T, void *>)
		return result == MAP_FAILED;
	else if constexpr (std::is_pointer_v<T>)
		return !result;
	else
		return result == static_cast<T>(-1);
}

template <typename T> bool check_ok(const T &result, const char *text, const char *file, int line)
{
	int error = errno;
	if (!is_error(result))
		return true;
	fail(file, line, format("%s works\n  it failed with %s", text, errno_name(error).c_str()));
	return false;
}

template <typename T>
bool check_error(const T &result, int expected, const char *text, const char *file, int line)
{
	int error = errno;
	if (is_error(result) && error == expected)
		return true;
	fail(file, line,
	     format("%s fails with %s\n  it %s %s", text, errno_name(expected).c_str(),
		    is_error(result) ? "failed with" : "worked and returned",
		    is_error(result) ? errno_name(error).c_str() : show(result).c_str()));
	return false;
}

template <typename T> T must(T result, const char *text, const char *file, int line)
{
	if (!check_ok(result, text, file, line))
		throw Abort{};
	return result;
}

bool check_contains(const std::string &text, const std::string &part, bool wanted, const char *name,
		    const char *file, int line);

inline void require(bool fine)
{
	if (!fine)
		throw Abort{};
}

/* Forks, runs @body in the child, and returns the pid; the child exits 0 or as @body returns. */
template <typename Body> pid_t spawn(Body body);
/* Runs @body in the calling, already forked process and never returns. */
template <typename Body> [[noreturn]] void run_and_exit(Body body)
{
	int code = 0;
	try {
		if constexpr (std::is_same_v<decltype(body()), void>)
			body();
		else
			code = body();
	} catch (const Skip &skip) {
		snprintf(shared->skip, sizeof(shared->skip), "%s", skip.reason.c_str());
	} catch (const Abort &) {
	} catch (const std::exception &error) {
		fail(__FILE__, __LINE__, format("no exception\n  it threw: %s", error.what()));
	}
	fflush(nullptr);
	_exit(code);
}

template <typename Body> pid_t spawn(Body body)
{
	fflush(nullptr);
	pid_t pid = fork();
	if (pid == 0)
		run_and_exit(body);
	if (pid < 0)
		throw Abort{};
	return pid;
}

/* Waits for @pid: its exit status, or 128 + the signal that killed it, as a shell counts. */
int wait_for(pid_t pid);

/* Runs @body in a child process and waits for it. */
template <typename Body> int in_child(Body body)
{
	return wait_for(spawn(body));
}

/* For checks in a destructor, which an exception must not leave; a failure is recorded all the same. */
template <typename Body> void guarded(Body body)
{
	try {
		body();
	} catch (const Abort &) {
	}
}

/* An environment variable that the guest runner has to set; ends the program if it did not. */
const char *env(const char *name);

/* The factor for time limits on this machine, which may be slow. */
unsigned patience();

int run_program(int argc, char **argv);

} // namespace ktap

#define KTAP_CHECK_CMP(a, b, op)                                                                   \
	ktap::check_compare([](int sign) { return sign op 0; }, #op, (a), (b), #a, #b, __FILE__,   \
			    __LINE__)
#define KTAP_CHECK(cond)                                                                           \
	((cond) ? true : (ktap::fail(__FILE__, __LINE__, #cond "\n  it is false"), false))

#define EXPECT(cond)	      (void)KTAP_CHECK(cond)
#define EXPECT_EQ(a, b)	      (void)KTAP_CHECK_CMP(a, b, ==)
#define EXPECT_NE(a, b)	      (void)KTAP_CHECK_CMP(a, b, !=)
#define EXPECT_LT(a, b)	      (void)KTAP_CHECK_CMP(a, b, <)
#define EXPECT_LE(a, b)	      (void)KTAP_CHECK_CMP(a, b, <=)
#define EXPECT_GT(a, b)	      (void)KTAP_CHECK_CMP(a, b, >)
#define EXPECT_GE(a, b)	      (void)KTAP_CHECK_CMP(a, b, >=)
#define EXPECT_OK(call)	      (void)ktap::check_ok((call), #call, __FILE__, __LINE__)
#define EXPECT_ERR(call, err) (void)ktap::check_error((call), err, #call, __FILE__, __LINE__)
#define EXPECT_HAS(text, part)                                                                     \
	(void)ktap::check_contains((text), (part), true, #text, __FILE__, __LINE__)
#define EXPECT_HAS_NOT(text, part)                                                                 \
	(void)ktap::check_contains((text), (part), false, #text, __FILE__, __LINE__)

#define ASSERT(cond)	ktap::require(KTAP_CHECK(cond))
#define ASSERT_EQ(a, b) ktap::require(KTAP_CHECK_CMP(a, b, ==))
#define ASSERT_NE(a, b) ktap::require(KTAP_CHECK_CMP(a, b, !=))
#define ASSERT_GE(a, b) ktap::require(KTAP_CHECK_CMP(a, b, >=))
#define ASSERT_GT(a, b) ktap::require(KTAP_CHECK_CMP(a, b, >))
#define ASSERT_ERR(call, err)                                                                      \
	ktap::require(ktap::check_error((call), err, #call, __FILE__, __LINE__))
/* The value of a system call that has to work; leaves the case if it does not. */
#define OK(call) ktap::must((call), #call, __FILE__, __LINE__)

#define SKIP(...)                                                                                  \
	throw ktap::Skip                                                                           \
	{                                                                                          \
		ktap::format(__VA_ARGS__)                                                          \
	}

#define CASE(name, ...)                                                                            \
	static void case_##name();                                                                 \
	static const ktap::Register register_##name(#name, case_##name, {}, ##__VA_ARGS__);        \
	static void case_##name()
#define PARAM_CASE(name, ...)                                                                      \
	static void case_##name();                                                                 \
	static const ktap::Register register_##name(#name, case_##name, {__VA_ARGS__});            \
	static void case_##name()
#define PARAM_CASE_OF(name, list)                                                                  \
	static void case_##name();                                                                 \
	static const ktap::Register register_##name(#name, case_##name, list);                     \
	static void case_##name()
#define HELPER(name)                                                                               \
	static int helper_##name(int argc, char **argv);                                           \
	static const ktap::RegisterHelper register_##name(#name, helper_##name);                   \
	static int helper_##name([[maybe_unused]] int argc, [[maybe_unused]] char **argv)
