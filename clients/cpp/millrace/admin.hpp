/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_HPP
#error "include millrace.hpp: it includes this file"
#endif
#ifndef MILLRACE_ADMIN_HPP
#define MILLRACE_ADMIN_HPP

/** @file admin.hpp
 * Administration of a bus of this host. */

namespace millrace
{

namespace detail
{

/* A function of the program that gets the rows of a list; its first exception ends the rows. */
template <class Row, class F> struct rows {
	F *function;
	std::exception_ptr thrown;

	static void call(const Row *row, void *arg) noexcept
	{
		auto *self = static_cast<rows *>(arg);

		if (self->thrown)
			return;
		try {
			(*self->function)(*row);
		} catch (...) {
			self->thrown = std::current_exception();
		}
	}
};

} // namespace detail

/** A connection to the admin socket of a bus of this host; needs no client. Moved, not copied. One
 * thread at a time may use it.
 *
 * The lists call a function with each row and return the number of rows. A row and its texts are
 * valid until the function returns. An exception of the function comes out of the list. */
class admin
{
      public:
	/** Connects, as mr_admin_open(); without an address to the bus that a client would use. */
	explicit admin(std::string_view address = {})
	{
		const std::string where(address);
		mr_admin *raw = nullptr;

		detail::check(
			nullptr, mr_admin_open(where.empty() ? nullptr : where.c_str(), &raw));
		raw_.reset(raw);
	}

	/** Lists the queues: `function(const mr_admin_queue &)`. */
	template <class F> unsigned queues(F &&function)
	{
		return list<mr_admin_queue>(function, mr_admin_queues, false);
	}
	/** Lists the services: `function(const mr_admin_queue &)`. */
	template <class F> unsigned services(F &&function)
	{
		return list<mr_admin_queue>(function, mr_admin_queues, true);
	}
	/** Lists the clients: `function(const mr_admin_client &)`. */
	template <class F> unsigned clients(F &&function)
	{
		return list<mr_admin_client>(function, mr_admin_clients);
	}
	/** Lists the subscriptions: `function(const mr_admin_subject &)`. */
	template <class F> unsigned subjects(F &&function)
	{
		return list<mr_admin_subject>(function, mr_admin_subjects);
	}
	/** Lists the workers: `function(const mr_admin_worker &)`. */
	template <class F> unsigned workers(F &&function)
	{
		return list<mr_admin_worker>(function, mr_admin_workers);
	}
	/** Reads all counters of the bus: `function(const mr_admin_counter &)`. */
	template <class F> unsigned counters(F &&function)
	{
		return list<mr_admin_counter>(function, mr_admin_counters);
	}
	/** Lists the oldest dead letters of a queue, at most 16, and leaves them there:
	 * `function(const mr_admin_dead_letter &)`. */
	template <class F>
	unsigned dead_letters(std::string_view queue_name, unsigned count, F &&function)
	{
		const detail::text name(queue_name);

		return list<mr_admin_dead_letter>(
			function, mr_admin_dead_letters, static_cast<const char *>(name), count);
	}
	/** Drops the messages of a queue that are not delivered, and returns how many. */
	std::uint64_t purge(std::string_view queue_name)
	{
		std::uint64_t dropped = 0;

		detail::check(
			nullptr, mr_admin_purge(raw_.get(), detail::text(queue_name), &dropped));
		return dropped;
	}
	/** Moves dead letters back into their queue, the oldest first; `count` 0: all. Returns how
	 * many go back. */
	std::uint64_t redrive(std::string_view queue_name, unsigned count = 0)
	{
		std::uint64_t moved = 0;

		detail::check(nullptr,
			mr_admin_redrive(raw_.get(), detail::text(queue_name), count, &moved));
		return moved;
	}
	/** Changes options of a queue; `edits` are bits of mr_admin_option, whose values are taken
	 * from `values`. */
	void edit_queue(std::string_view queue_name, unsigned edits, const mr_queue_options &values)
	{
		detail::check(nullptr,
			mr_admin_edit(raw_.get(), detail::text(queue_name), false, edits, &values));
	}
	/** The same, also of those that mr_queue_options lacks. */
	void edit_queue(std::string_view queue_name, unsigned edits, const mr_admin_options &values)
	{
		detail::check(nullptr, mr_admin_edit_with(raw_.get(), detail::text(queue_name),
					       false, edits, &values));
	}
	/** Changes options of a service. */
	void edit_service(
		std::string_view service_name, unsigned edits, const mr_queue_options &values)
	{
		detail::check(nullptr, mr_admin_edit(raw_.get(), detail::text(service_name), true,
					       edits, &values));
	}
	/** Binds a queue to a subject or pattern: what is published there goes into the queue.
	 * Makes the queue if there is none. Returns the number of its bindings. */
	unsigned bind(std::string_view queue_name, std::string_view subject)
	{
		unsigned bindings = 0;

		detail::check(nullptr, mr_admin_bind(raw_.get(), detail::text(queue_name),
					       detail::text(subject), &bindings));
		return bindings;
	}
	/** Removes a binding. Returns the number of those that are left. */
	unsigned unbind(std::string_view queue_name, std::string_view subject)
	{
		unsigned bindings = 0;

		detail::check(nullptr, mr_admin_unbind(raw_.get(), detail::text(queue_name),
					       detail::text(subject), &bindings));
		return bindings;
	}
	/** Removes all bindings of a queue. */
	void unbind_all(std::string_view queue_name)
	{
		detail::check(nullptr,
			mr_admin_unbind(raw_.get(), detail::text(queue_name), nullptr, nullptr));
	}
	/** For functions of millrace.h; NULL after it was moved from. */
	mr_admin *native() const noexcept
	{
		return raw_.get();
	}

      private:
	template <class Row, class F, class List, class... Arguments>
	unsigned list(F &function, List from, Arguments... arguments)
	{
		using receiver = detail::rows<Row, F>;
		receiver r{&function, nullptr};
		const int result = from(raw_.get(), arguments..., receiver::call, &r);

		if (r.thrown)
			std::rethrow_exception(r.thrown);
		return static_cast<unsigned>(detail::check(nullptr, result));
	}

	struct end {
		void operator()(mr_admin *raw) const noexcept
		{
			mr_admin_close(raw);
		}
	};
	std::unique_ptr<mr_admin, end> raw_;
};

} // namespace millrace

#endif
