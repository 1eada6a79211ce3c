/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_HPP
#error "include millrace.hpp: it includes this file"
#endif
#ifndef MILLRACE_CLIENT_SUBJECTS_HPP
#define MILLRACE_CLIENT_SUBJECTS_HPP

/** @file client_subjects.hpp
 * Calls of a client for subjects: publishers, subscriptions, requests. */

namespace millrace
{

inline int client::try_open_publisher(
	publisher &out, std::string_view subject, const publisher_options &options) noexcept
{
	return on([&](mr_client *c) {
		mr_publisher_options o{};
		mr_publisher *p = nullptr;

		o.promise = options.promise;
		o.publisher = options.publisher.empty() ? nullptr : options.publisher.c_str();
		o.next_id = options.next_id;
		const int result = mr_publisher_open_with(c, detail::text(subject), &o, &p);
		if (result == 0)
			out.open(core_, p, nullptr);
		return result;
	});
}

inline int client::try_subscribe(subscription &out, std::string_view pattern,
	message_function function, const subscribe_options &options) noexcept
{
	return subscribe_with(out, pattern, std::move(function), {}, options);
}

inline int client::try_subscribe_batch(subscription &out, std::string_view pattern,
	batch_function function, const subscribe_options &options) noexcept
{
	return function ? subscribe_with(out, pattern, {}, std::move(function), options) : -EINVAL;
}

inline int client::subscribe_with(subscription &out, std::string_view pattern,
	message_function function, batch_function batch, const subscribe_options &options) noexcept
{
	using callback = detail::message_callback;

	return with<callback>(
		[&](callback &cb) {
			cb.function = std::move(function);
			cb.batch = std::move(batch);
		},
		[&](mr_client *c, callback *cb) {
			const detail::text group(options.group);
			mr_subscribe_options o{};
			mr_subscription *s = nullptr;

			o.group =
				options.group.empty() ? nullptr : static_cast<const char *>(group);
			o.prefix = options.prefix;
			o.promise = options.promise;
			o.high_water = options.high_water;
			o.time = options.time;
			o.sender = options.sender;
			o.batch = cb->batch ? callback::call_batch : nullptr;
			const int result = mr_subscribe(c, detail::text(pattern), &o,
				cb->function ? callback::call : nullptr, cb, &s);
			if (result == 0)
				out.open(core_, s, cb);
			return result;
		});
}

inline int client::try_request_async(std::string_view subject, std::string_view payload,
	reply_function function, milliseconds timeout) noexcept
{
	using callback = detail::reply_callback;

	return with<callback>([&](callback &cb) { cb.function = std::move(function); },
		[&](mr_client *c, callback *cb) {
			return mr_request_async(c, detail::text(subject), payload.data(),
				payload.size(), detail::to_ms(timeout), callback::call, cb);
		});
}

inline int client::try_request_many(std::string_view subject, std::string_view payload,
	reply_function function, const request_many_options &options) noexcept
{
	using callback = detail::replies_callback;
	const mr_request_many_options o = detail::to_c(options);

	if (!function)
		return -EINVAL;
	return with<callback>([&](callback &cb) { cb.function = std::move(function); },
		[&](mr_client *c, callback *cb) {
			const int result = mr_request_many(c, detail::text(subject), payload.data(),
				payload.size(), &o, callback::call, cb);

			if (result >= 0)
				core_->end(cb);
			return result;
		});
}

inline int client::try_request_many_async(std::string_view subject, std::string_view payload,
	reply_function function, const request_many_options &options) noexcept
{
	using callback = detail::replies_callback;
	const mr_request_many_options o = detail::to_c(options);

	if (!function)
		return -EINVAL;
	return with<callback>([&](callback &cb) { cb.function = std::move(function); },
		[&](mr_client *c, callback *cb) {
			return mr_request_many_async(c, detail::text(subject), payload.data(),
				payload.size(), &o, callback::call, cb);
		});
}

inline int publisher::try_request(
	std::string_view payload, reply_function function, milliseconds timeout) noexcept
{
	using callback = detail::reply_callback;

	return on([&](mr_publisher *p) {
		auto *cb = new (std::nothrow) callback;

		if (cb == nullptr)
			return -ENOMEM;
		core_->adopt(cb)->function = std::move(function);
		const int result = mr_publisher_request(p, payload.data(), payload.size(),
			detail::to_ms(timeout), callback::call, cb);
		if (result < 0)
			core_->end(cb);
		return result;
	});
}

} // namespace millrace

#endif
