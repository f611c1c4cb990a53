// SPDX-License-Identifier: GPL-2.0-only
/* The runtime shim, as far as it runs on the host. */
#include <errno.h>
#include <stdlib.h>

#include "atomic.hh"
#include "check.hh"
#include "function_ref.hh"
#include "new.hh"
#include "own.hh"
#include "pointer_table.hh"
#include "ref.hh"
#include "result.hh"
#include "scope_exit.hh"
#include "span.hh"
#include "string_view.hh"
#include "utility.hh"

using cxxrt::Error;
using cxxrt::FunctionRef;
using cxxrt::Gfp;
using cxxrt::Own;
using cxxrt::Ref;
using cxxrt::Result;
using cxxrt::ScopeExit;
using cxxrt::Span;
using cxxrt::StringView;

namespace
{

constexpr Gfp some_gfp = {0xcc0};

bool out_of_memory;
unsigned int last_gfp;
int allocated;

/* Counts the objects that live, and knows whether it was moved from. */
struct Probe {
	static inline int alive;
	int value;

	explicit Probe(int value) : value(value)
	{
		alive++;
	}
	Probe(Probe &&other) : value(cxxrt::exchange(other.value, -1))
	{
		alive++;
	}
	Probe(const Probe &) = delete;
	Probe &operator=(const Probe &) = delete;
	Probe &operator=(Probe &&) = delete;
	~Probe()
	{
		alive--;
	}
};

struct Counted {
	int count = 1;
};

} // namespace

/* The functions that the module's C provides in the kernel. */
extern "C" {
void *cxxrt_alloc(__SIZE_TYPE__ size, unsigned int gfp);
void cxxrt_free(const void *memory);
[[noreturn]] void cxxrt_bug(const char *what);

void *cxxrt_alloc(__SIZE_TYPE__ size, unsigned int gfp)
{
	last_gfp = gfp;
	if (out_of_memory)
		return nullptr;
	allocated++;
	return malloc(size);
}

void cxxrt_free(const void *memory)
{
	allocated -= memory != nullptr;
	free(const_cast<void *>(memory));
}

void cxxrt_bug(const char *what)
{
	printf("Bail out! %s\n", what);
	abort();
}
}

template <> struct cxxrt::RefTraits<Counted> {
	static void get(Counted *object)
	{
		object->count++;
	}
	static void put(Counted *object)
	{
		object->count--;
	}
};

namespace
{

Result<Probe> make_probe(int value)
{
	if (value < 0)
		return Error{value};
	return Probe(value);
}

Result<int> twice(int value, bool &left)
{
	ScopeExit note([&left] { left = true; });
	Probe probe = TRY(make_probe(value));

	return probe.value * 2;
}

Result<void> check_sign(int value)
{
	TRY(Result<void>::from(value));
	return {};
}

} // namespace

TEST(result_value)
{
	{
		Result<Probe> result = make_probe(7);

		EXPECT(result.ok());
		EXPECT_EQ(result.error(), 0);
		EXPECT_EQ(result.value().value, 7);
		EXPECT_EQ(Probe::alive, 1);

		Probe taken = result.release();

		EXPECT_EQ(taken.value, 7);
		EXPECT_EQ(result.value().value, -1);
		EXPECT_EQ(Probe::alive, 2);
	}
	EXPECT_EQ(Probe::alive, 0);
}

TEST(result_error)
{
	{
		Result<Probe> result = make_probe(-ENOENT);
		Result<Probe> moved = cxxrt::move(result);

		EXPECT(!moved.ok());
		EXPECT_EQ(moved.error(), -ENOENT);
		EXPECT_EQ(Probe::alive, 0);
	}
	EXPECT_EQ(Probe::alive, 0);
}

/* A number that is no errno must not become a success: there would be no value. */
TEST(error_that_is_none)
{
	EXPECT_EQ(Error(0).code, -EIO);
	EXPECT_EQ(Error(7).code, -EIO);
	EXPECT_EQ(Error(-EPERM).code, -EPERM);
	EXPECT(!Result<int>(Error(0)).ok());
	EXPECT(!Result<void>(Error(0)).ok());
}

TEST(result_move)
{
	{
		Result<Probe> result = make_probe(3);
		Result<Probe> moved = cxxrt::move(result);

		EXPECT(moved.ok());
		EXPECT_EQ(moved.value().value, 3);
	}
	EXPECT_EQ(Probe::alive, 0);
	static_assert(!__is_constructible(Result<int>, const Result<int> &));
	static_assert(!__is_assignable(Result<int> &, Result<int> &&));
}

TEST(result_void)
{
	EXPECT(Result<void>().ok());
	EXPECT(Result<void>::from(0).ok());
	EXPECT(Result<void>::from(5).ok());
	EXPECT_EQ(Result<void>::from(-EIO).error(), -EIO);
	EXPECT(check_sign(1).ok());
	EXPECT_EQ(check_sign(-EPERM).error(), -EPERM);
}

TEST(try_unwraps_or_leaves)
{
	bool left = false;
	Result<int> fine = twice(21, left);

	EXPECT(fine.ok() && fine.value() == 42);
	EXPECT(left);
	left = false;

	Result<int> failed = twice(-EBUSY, left);

	EXPECT_EQ(failed.error(), -EBUSY);
	EXPECT(left);
	EXPECT_EQ(Probe::alive, 0);
}

TEST(string_view)
{
	StringView text = "branch";

	EXPECT_EQ(text.size(), 6U);
	EXPECT_EQ(text[5], 'h');
	EXPECT(!text.empty());
	EXPECT(StringView().empty());
	EXPECT(StringView("").empty());
	EXPECT_EQ(StringView::from_c_string("abc"), StringView("abcd", 3));
	EXPECT_EQ(text.substr(2), StringView("anch"));
	EXPECT_EQ(text.substr(2, 3), StringView("anc"));
	EXPECT_EQ(text.substr(6), StringView(""));
	EXPECT_EQ(text.substr(4, 100), StringView("ch"));
	EXPECT(text.starts_with("bra"));
	EXPECT(text.starts_with(""));
	EXPECT(text.starts_with(text));
	EXPECT(!text.starts_with("branches"));
	EXPECT(!text.starts_with("rb"));
	EXPECT(text != StringView("brancH"));
	EXPECT(text != StringView("branc"));
	EXPECT(StringView() == StringView(""));
	EXPECT_EQ(text.end() - text.begin(), 6);
	static_assert(StringView("ro") == StringView("ro") && StringView("ro") != StringView("rw"));
}

TEST(span)
{
	int numbers[] = {1, 2, 3};
	Span<int> span(numbers, 3);
	int sum = 0;

	for (int &number : span)
		sum += number++;
	EXPECT_EQ(sum, 6);
	EXPECT_EQ(span[2], 4);
	EXPECT_EQ(span.size(), 3U);
	EXPECT(span.data() == numbers);
	EXPECT(!span.empty());
	EXPECT(Span<int>().empty());
}

TEST(ref_counts)
{
	Counted object;

	{
		Ref<Counted> owned = Ref<Counted>::adopt(&object);

		EXPECT_EQ(object.count, 1);

		Ref<Counted> second = owned.clone();

		EXPECT_EQ(object.count, 2);

		Ref<Counted> third = Ref<Counted>::retain(&object);

		EXPECT_EQ(object.count, 3);
		EXPECT(third.get() == &object && third->count == 3 && (*third).count == 3);

		Ref<Counted> moved = cxxrt::move(third);

		EXPECT(!third && moved);
		EXPECT_EQ(object.count, 3);
		second = {};
		EXPECT_EQ(object.count, 2);
		EXPECT(moved.leak() == &object);
		EXPECT(!moved);
		EXPECT_EQ(object.count, 2);
	}
	EXPECT_EQ(object.count, 1);
	EXPECT(!Ref<Counted>::retain(nullptr));
	EXPECT(!Ref<Counted>::adopt(nullptr).clone());
	static_assert(!__is_constructible(Ref<Counted>, const Ref<Counted> &));
	static_assert(!__is_assignable(Ref<Counted> &, const Ref<Counted> &));
}

TEST(ref_assignment_puts_the_old_one)
{
	Counted a;
	Counted b;

	{
		Ref<Counted> ref = Ref<Counted>::retain(&a);
		Ref<Counted> other = Ref<Counted>::retain(&b);

		ref = cxxrt::move(other);
		EXPECT_EQ(a.count, 1);
		EXPECT_EQ(b.count, 2);

		Ref<Counted> &same = ref;

		ref = cxxrt::move(same);
		EXPECT_EQ(b.count, 2);
		EXPECT(ref.get() == &b);
	}
	EXPECT_EQ(b.count, 1);
}

TEST(own_destroys)
{
	{
		Own<Probe> own = Own<Probe>::adopt(new (some_gfp) Probe(5));

		EXPECT_EQ(last_gfp, some_gfp.flags);
		EXPECT_EQ(allocated, 1);
		EXPECT(own && own->value == 5 && (*own).value == 5 && own.get()->value == 5);

		Own<Probe> moved = cxxrt::move(own);

		EXPECT(!own && moved);
		moved = Own<Probe>::adopt(new (some_gfp) Probe(6));
		EXPECT_EQ(Probe::alive, 1);
		EXPECT_EQ(allocated, 1);

		Probe *leaked = moved.leak();

		EXPECT(!moved);
		EXPECT_EQ(Probe::alive, 1);
		delete leaked;
		EXPECT_EQ(allocated, 0);
		moved = Own<Probe>::adopt(new (some_gfp) Probe(7));
	}
	EXPECT_EQ(Probe::alive, 0);
	EXPECT_EQ(allocated, 0);
	static_assert(!__is_constructible(Own<Probe>, const Own<Probe> &));
	static_assert(!__is_assignable(Own<Probe> &, const Own<Probe> &));
}

TEST(own_array)
{
	{
		Own<char[]> buffer = Own<char[]>::adopt(new (some_gfp) char[16]);

		EXPECT_EQ(allocated, 1);
		buffer[15] = 'x';
		EXPECT_EQ(buffer.get()[15], 'x');
	}
	EXPECT_EQ(allocated, 0);
}

TEST(new_without_memory)
{
	out_of_memory = true;
	/* The constructor must not run: without exceptions only the null tells of the failure. */
	Own<Probe> own = Own<Probe>::adopt(new (some_gfp) Probe(1));

	out_of_memory = false;
	EXPECT(!own);
	EXPECT_EQ(Probe::alive, 0);
	EXPECT_EQ(allocated, 0);
}

TEST(scope_exit)
{
	int runs = 0;

	{
		ScopeExit exit([&runs] { runs++; });

		EXPECT_EQ(runs, 0);
	}
	EXPECT_EQ(runs, 1);
	{
		ScopeExit exit([&runs] { runs++; });

		exit.dismiss();
	}
	EXPECT_EQ(runs, 1);
}

/* The arguments arrive, the result comes back, and changes are the caller's. */
TEST(function_ref)
{
	int calls = 0;
	auto add = [&calls](int a, Probe &b) {
		calls++;
		return make_probe(a + b.value);
	};
	FunctionRef<Result<Probe>(int, Probe &)> ref(add);
	FunctionRef<Result<Probe>(int, Probe &)> copy = ref;
	Probe two(2);

	EXPECT_EQ(ref(1, two).value().value, 3);
	EXPECT_EQ(copy(5, two).value().value, 7);
	EXPECT_EQ(calls, 2);
}

TEST(atomic)
{
	cxxrt::Atomic<unsigned int> number = 5;
	unsigned int expected = 4;

	EXPECT(!number.replace(expected, 6));
	EXPECT_EQ(expected, 5U);
	EXPECT(number.replace(expected, 6));
	EXPECT_EQ(number.fetch_add(2), 6U);
	EXPECT_EQ(number.fetch_or(0x10), 8U);
	EXPECT_EQ(number.exchange(2), 0x18U);
	EXPECT(!number.take_last());
	EXPECT(number.take_last());
	number.store(3);
	EXPECT_EQ(number.load_acquire(), 3U);

	/* A type that is wider than a word of some machines, and a type other than an integer. */
	struct alignas(8) Pair {
		int first, second;
	};
	cxxrt::Atomic<Pair> pair(Pair{1, 2});

	pair.store({3, 4});
	EXPECT_EQ(pair.load().second, 4);

	const int *pointer = nullptr;
	int target = 1;

	cxxrt::AtomicRef(pointer).store_release(&target);
	EXPECT_EQ(*cxxrt::AtomicRef(pointer).load_acquire(), 1);
}

TEST(pointer_table)
{
	static char many[3000];
	cxxrt::PointerTable<int> table;

	EXPECT(!table.find(many));
	for (int i = 0; i < 3000; i += 3)
		EXPECT(table.add(some_gfp, many + i, i).ok());
	/* Entries that are there stay as they are. */
	EXPECT(table.add(some_gfp, many + 3, -1).ok());
	for (int i = 0; i < 3000; i++) {
		const int *found = table.find(many + i);

		EXPECT_EQ(found != nullptr, i % 3 == 0);
		EXPECT(!found || *found == i);
	}

	out_of_memory = true;

	Result<void> added;

	for (int i = 1; added.ok(); i += 3)
		added = table.add(some_gfp, many + i, i);
	out_of_memory = false;
	EXPECT_EQ(added.error(), -ENOMEM);
	EXPECT_EQ(*table.find(many + 2997), 2997);
	table.clear();
	EXPECT(!table.find(many));
}

TEST(utility)
{
	int place = 1;

	EXPECT_EQ(cxxrt::exchange(place, 2), 1);
	EXPECT_EQ(place, 2);
	EXPECT_EQ(cxxrt::min(1, 2), 1);
	EXPECT_EQ(cxxrt::min(2, 1), 1);
	EXPECT_EQ(cxxrt::max(1, 2), 2);
	EXPECT_EQ(cxxrt::max(2, 1), 2);
	static_assert(cxxrt::same_type<cxxrt::RemoveReference<int &&>::Type, int>);
	static_assert(!cxxrt::same_type<int, unsigned int>);
}

int main()
{
	return check::run_all();
}
