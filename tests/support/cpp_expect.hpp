/* SPDX-License-Identifier: Apache-2.0 */
/* cpp_expect: what the programs share that show the behaviour of clients/cpp/millrace.hpp. */
#ifndef CPP_EXPECT_HPP
#define CPP_EXPECT_HPP

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include <millrace.hpp>

#define EXPECT(condition) expect(condition, #condition, __LINE__)

inline void expect(bool holds, const char *condition, int line)
{
	if (holds)
		return;
	std::printf("line %d: not so: %s\n", line, condition);
	std::exit(1);
}

/* Returns the error code that a call throws; no error if it throws none. */
template <class F> static std::error_code thrown(F &&call)
{
	try {
		call();
	} catch (const std::system_error &e) {
		return e.code();
	}
	return {};
}

template <class F> static void wait_until(millrace::client &c, F &&holds)
{
	for (int i = 0; i < 1000; i++) {
		if (holds())
			return;
		c.wait(std::chrono::milliseconds(20));
	}
	EXPECT(!"waited in vain");
}

#endif
