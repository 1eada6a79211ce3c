/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_HPP
#define MILLRACE_HPP

/** @file millrace.hpp
 * C++17 over libmillrace (millrace.h): objects that close themselves, functions as callbacks,
 * errors as exceptions. Programs include this file alone. millrace.h is the reference for limits,
 * errors and lifetimes.
 *
 * Owns      A client owns its connection; a handle (subscription, publisher, queue, consumer,
 *           service, stream) owns what it names. Both are moved, not copied. A handle may outlive
 *           its client: its calls then fail with EBADF.
 * Threads   A client and its handles belong to one thread at a time; wake() and post() may be
 *           called by any.
 * Lifetime  A message points into the library's memory: within a callback until that returns,
 *           otherwise until the next call on the client that processes.
 * Errors    Calls throw std::system_error with the library's text; its code() compares with
 *           std::errc. The calls named try_ are noexcept and return what the C function returns: 0
 *           or a count, or a negative errno value.
 * Callbacks Exceptions of callbacks do not cross the library. The next call that processes, and is
 *           not named try_, throws the first of them. Within a callback a handle may be closed, a
 *           client may not: destroying one there ends the program. */

/* millrace.h has functions with the names of structs (mr_push). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <millrace.h>
#pragma GCC diagnostic pop

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "millrace/core.hpp"
#include "millrace/message.hpp"
#include "millrace/handles.hpp"
#include "millrace/options.hpp"
#include "millrace/callbacks.hpp"
#include "millrace/client.hpp"
#include "millrace/client_subjects.hpp"
#include "millrace/client_queues.hpp"
#include "millrace/admin.hpp"

#endif
