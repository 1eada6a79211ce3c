/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_HPP
#error "include millrace.hpp: it includes this file"
#endif
#ifndef MILLRACE_CALLBACKS_HPP
#define MILLRACE_CALLBACKS_HPP

/** @file callbacks.hpp
 * Functions of the program behind callbacks of the library. */

namespace millrace
{

namespace detail
{

/* Functions of the program, and what the library calls with each as `arg`. */

struct state_callback : callback {
	decltype(connect_options::on_state) on_state;
	decltype(connect_options::on_gap) on_gap;

	static void state(mr_client *, bool connected, int error, void *arg)
	{
		auto *cb = static_cast<state_callback *>(arg);

		cb->owner->run(cb, false, [&] { cb->on_state(connected, to_code(error)); });
	}
	static void gap(mr_client *, std::uint64_t missed, std::uint64_t total, void *arg)
	{
		auto *cb = static_cast<state_callback *>(arg);

		cb->owner->run(cb, false, [&] { cb->on_gap(missed, total); });
	}
};

struct outcome_callback : callback {
	decltype(push_options::on_outcome) function;

	static void call(mr_client *, std::uint64_t id, int error, void *arg)
	{
		auto *cb = static_cast<outcome_callback *>(arg);

		cb->owner->run(cb, false, [&] { cb->function(id, to_code(error)); });
	}
};

struct delivery_callback : settled_callback {
	delivery_function function;

	static void call(mr_client *, const mr_delivery *d, void *arg)
	{
		auto *cb = static_cast<delivery_callback *>(arg);

		cb->owner->run(cb, false, [&] {
			cb->function(consumer_ref(cb->owner->shared_from_this(), d->consumer),
				delivery(*d));
		});
	}
};

struct service_callback : settled_callback {
	work_function function;
	part_function on_part;
	mr_service *raw = nullptr; /* mr_serve() sets it before the first request */

	service_ref ref()
	{
		return service_ref(owner->shared_from_this(), raw);
	}
	static void call(mr_client *, const mr_work *work, void *arg)
	{
		auto *cb = static_cast<service_callback *>(arg);

		cb->owner->run(cb, false,
			[&] { cb->function(cb->ref(), delivery(work->delivery), work->more); });
	}
	static void part(mr_client *, std::uint64_t tag, const mr_message *m, bool more, void *arg)
	{
		auto *cb = static_cast<service_callback *>(arg);

		cb->owner->run(cb, false, [&] { cb->on_part(cb->ref(), tag, message(*m), more); });
	}
};

struct timer_callback : callback {
	std::function<void()> function;

	static void call(mr_client *, mr_timer *, void *arg)
	{
		auto *cb = static_cast<timer_callback *>(arg);

		cb->owner->run(cb, false, cb->function);
	}
};

struct log_callback : callback {
	log_function function;

	static void call(
		mr_client *, mr_severity severity, mr_event event, const char *text, void *arg)
	{
		auto *cb = static_cast<log_callback *>(arg);

		cb->owner->run(cb, false, [&] { cb->function(severity, event, text); });
	}
};

/* Called once. */
struct reply_callback : callback {
	reply_function function;

	static void call(mr_client *, const mr_message *m, int error, void *arg)
	{
		auto *cb = static_cast<reply_callback *>(arg);

		cb->owner->run(cb, true, [&] {
			const message reply = m != nullptr ? message(*m) : message();

			cb->function(m != nullptr ? &reply : nullptr, to_code(error));
		});
	}
};

/* Called with each reply; asynchronous ones also once at the end, without one. */
struct replies_callback : callback {
	reply_function function;

	static void call(mr_client *, const mr_message *m, int error, void *arg)
	{
		auto *cb = static_cast<replies_callback *>(arg);

		cb->owner->run(cb, m == nullptr, [&] {
			const message reply = m != nullptr ? message(*m) : message();

			cb->function(m != nullptr ? &reply : nullptr, to_code(error));
		});
	}
};

inline mr_request_many_options to_c(const request_many_options &o) noexcept
{
	mr_request_many_options raw{};

	raw.replies_max = o.replies_max;
	raw.timeout_ms = to_limit_ms(o.timeout);
	raw.stall_ms = to_limit_ms(o.stall);
	raw.headers = o.headers.data();
	raw.header_bytes = o.headers.size();
	return raw;
}

/* Called until `more` is false; that of a stream belongs to its handle. */
struct call_callback : callback {
	call_function function;
	bool streams = false;

	static void call(
		mr_client *, std::uint64_t, const mr_message *m, bool more, int error, void *arg)
	{
		auto *cb = static_cast<call_callback *>(arg);

		cb->owner->run(cb, !more && !cb->streams, [&] {
			const message reply = m != nullptr ? message(*m) : message();

			cb->function(m != nullptr ? &reply : nullptr, more, to_code(error));
		});
	}
};

inline mr_call_options to_c(const call_options &o) noexcept
{
	mr_call_options raw{};

	raw.timeout_ms = to_ms(o.timeout);
	raw.retries = o.retries;
	raw.backoff_ms = to_limit_ms(o.backoff);
	raw.wait = o.wait;
	raw.headers = o.headers.data();
	raw.header_bytes = o.headers.size();
	raw.breaker_failures = o.breaker_failures;
	raw.breaker_reset_ms = to_limit_ms(o.breaker_reset);
	return raw;
}

} // namespace detail

} // namespace millrace

#endif
