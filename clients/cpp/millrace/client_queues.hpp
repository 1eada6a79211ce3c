/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_HPP
#error "include millrace.hpp: it includes this file"
#endif
#ifndef MILLRACE_CLIENT_QUEUES_HPP
#define MILLRACE_CLIENT_QUEUES_HPP

/** @file client_queues.hpp
 * Calls of a client for queues and services. */

namespace millrace
{

inline int client::try_open_queue(queue &out, std::string_view name, push_options options) noexcept
{
	using callback = detail::outcome_callback;

	return with<callback>([&](callback &cb) { cb.function = std::move(options.on_outcome); },
		[&](mr_client *c, callback *cb) {
			mr_push_options o{};
			mr_queue *q = nullptr;

			o.promise = options.promise;
			o.publisher = detail::or_null(options.publisher);
			o.next_id = options.next_id;
			o.queue = options.queue;
			o.key_from = detail::or_null(options.key_from);
			o.retry = options.retry;
			o.dead_letter = detail::or_null(options.dead_letter);
			o.on_outcome = cb->function ? callback::call : nullptr;
			o.arg = cb;
			const int result = mr_queue_open(c, detail::text(name), &o, &q);
			if (result == 0)
				out.open(core_, q, cb);
			return result;
		});
}

inline int client::try_consume(consumer &out, std::string_view queue_name,
	delivery_function function, const consume_options &options) noexcept
{
	using callback = detail::delivery_callback;

	return with<callback>([&](callback &cb) { cb.function = std::move(function); },
		[&](mr_client *c, callback *cb) {
			mr_consume_options o{};
			mr_consumer *raw_consumer = nullptr;

			o.prefetch = options.prefetch;
			o.weight = options.weight;
			o.manual = options.manual;
			o.queue = options.queue;
			o.tag = detail::or_null(options.tag);
			o.rate = options.rate;
			o.prefetch_bytes = options.prefetch_bytes;
			o.exclusive = options.exclusive;
			o.auto_renew = options.auto_renew;
			o.renew_max_ms = detail::to_limit_ms(options.renew_max);
			o.key_from = detail::or_null(options.key_from);
			o.retry = options.retry;
			o.dead_letter = detail::or_null(options.dead_letter);
			const int result = mr_consume(c, detail::text(queue_name), &o,
				cb->function ? callback::call : nullptr, cb, &raw_consumer);
			if (result == 0)
				out.open(core_, raw_consumer, cb);
			return result;
		});
}

inline int client::try_serve(
	service &out, std::string_view name, work_function function, serve_options options) noexcept
{
	using callback = detail::service_callback;

	if (!function)
		return -EINVAL;
	return with<callback>(
		[&](callback &cb) {
			cb.function = std::move(function);
			cb.on_part = std::move(options.on_part);
		},
		[&](mr_client *c, callback *cb) {
			mr_serve_options o{};

			o.prefetch = options.prefetch;
			o.queue = options.queue;
			o.on_part = cb->on_part ? callback::part : nullptr;
			o.window = options.window;
			const int result =
				mr_serve(c, detail::text(name), &o, callback::call, cb, &cb->raw);
			if (result == 0)
				out.open(core_, cb->raw, cb);
			return result;
		});
}

inline int client::try_call_async(std::string_view name, std::string_view payload,
	call_function function, const call_options &options) noexcept
{
	using callback = detail::call_callback;

	return with<callback>([&](callback &cb) { cb.function = std::move(function); },
		[&](mr_client *c, callback *cb) {
			const mr_call_options o = detail::to_c(options);

			return mr_call_async(c, detail::text(name), payload.data(), payload.size(),
				&o, callback::call, cb);
		});
}

inline int client::try_open_stream(stream &out, std::string_view name, std::string_view payload,
	call_function function, const call_options &options) noexcept
{
	using callback = detail::call_callback;

	return with<callback>(
		[&](callback &cb) {
			cb.function = std::move(function);
			cb.streams = true;
		},
		[&](mr_client *c, callback *cb) {
			const mr_call_options o = detail::to_c(options);
			mr_stream *s = nullptr;
			const int result = mr_stream_open(c, detail::text(name), payload.data(),
				payload.size(), &o, callback::call, cb, &s);

			if (result == 0)
				out.open(core_, s, cb);
			return result;
		});
}

} // namespace millrace

#endif
