/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_HPP
#error "include millrace.hpp: it includes this file"
#endif
#ifndef MILLRACE_CORE_HPP
#define MILLRACE_CORE_HPP

/** @file core.hpp
 * What a client and its handles share: callbacks, errors, names. */

namespace millrace
{

using std::chrono::milliseconds;

/** Time-out without a limit; of requests and calls: `request_timeout` of the client. */
inline constexpr milliseconds no_limit{-1};

/** Returns the error code of a result of the C library; counts and 0 are no error. */
inline std::error_code to_code(int result) noexcept
{
	return result < 0 ? std::error_code(-result, std::generic_category()) : std::error_code();
}

/** Version of the library, such as "0.1.0". */
inline const char *version() noexcept
{
	return mr_version();
}

/** Throws EPROTO if the library is older than the header that the program was built with. */
inline void check_version()
{
	if (mr_version_check(MR_VERSION_NUMBER) < 0)
		throw std::system_error(to_code(-EPROTO), mr_error(nullptr));
}

namespace detail
{

struct core;

/* One function of the program that the library may call. The core owns it. */
struct callback {
	core *owner = nullptr;
	callback *before = nullptr, *after = nullptr;
	bool ended = false;

	callback() = default;
	callback(const callback &) = delete;
	callback &operator=(const callback &) = delete;
	virtual ~callback() = default;
};

/* The part of a client that its handles share. */
struct core : std::enable_shared_from_this<core> {
	mr_client *c = nullptr; /* NULL after close */
	callback *first = nullptr;
	unsigned depth = 0; /* callbacks that run now, one within another */
	bool reconnects = true;
	bool some_ended = false; /* among the callbacks */
	std::exception_ptr thrown;
	callback *log = nullptr;
	std::mutex post_lock;                     /* of `posted`: any thread posts */
	std::deque<std::function<void()>> posted; /* the library holds as many posts */

	core() = default;
	core(const core &) = delete;
	core &operator=(const core &) = delete;
	~core()
	{
		drop_all();
	}

	void drop_all() noexcept
	{
		while (first != nullptr)
			drop(first);
	}

	template <class T> T *adopt(T *made) noexcept
	{
		made->owner = this;
		made->after = first;
		if (first != nullptr)
			first->before = made;
		first = made;
		return made;
	}

	void drop(callback *cb) noexcept
	{
		(cb->before != nullptr ? cb->before->after : first) = cb->after;
		if (cb->after != nullptr)
			cb->after->before = cb->before;
		delete cb;
	}

	/* Frees a callback that the library will not call again, at once or when none runs. */
	void end(callback *cb) noexcept
	{
		if (cb == nullptr)
			return;
		cb->ended = true;
		some_ended = true;
		if (depth == 0)
			reap();
	}

	void reap() noexcept
	{
		some_ended = false;
		for (callback *cb = first, *next; cb != nullptr; cb = next) {
			next = cb->after;
			if (cb->ended)
				drop(cb);
		}
	}

	/* Runs a function of the program for the library. `last`: the library forgets it then. */
	template <class F> void run(callback *cb, bool last, F &&function) noexcept
	{
		depth++;
		try {
			function();
		} catch (...) {
			if (!thrown)
				thrown = std::current_exception();
		}
		if (last) {
			cb->ended = true;
			some_ended = true;
		}
		if (--depth == 0 && some_ended)
			reap();
	}

	/* May be called by any thread. The order of `posted` is that of the library's list. */
	int post(std::function<void()> function) noexcept
	{
		if (!function)
			return -EINVAL;
		try {
			const std::lock_guard<std::mutex> hold(post_lock);

			posted.push_back(std::move(function));
			const int result = mr_client_post(c, run_posted, this);
			if (result < 0)
				posted.pop_back();
			return result;
		} catch (...) {
			return -ENOMEM;
		}
	}
	void drop_posted() noexcept
	{
		std::deque<std::function<void()>> dropped;
		const std::lock_guard<std::mutex> hold(post_lock);

		dropped.swap(posted);
	}
	static void run_posted(mr_client *, void *arg)
	{
		auto *k = static_cast<core *>(arg);
		std::function<void()> function;

		{
			const std::lock_guard<std::mutex> hold(k->post_lock);

			function = std::move(k->posted.front());
			k->posted.pop_front();
		}
		k->run(nullptr, false, function);
	}

	[[noreturn]] static void fail(const core *k, int result)
	{
		throw std::system_error(to_code(result),
			result == -EBADF ? "the object is closed"
					 : mr_error(k != nullptr ? k->c : nullptr));
	}

	void rethrow()
	{
		if (thrown)
			std::rethrow_exception(std::exchange(thrown, nullptr));
	}
};

using shared_core = std::shared_ptr<core>;

/* Throws for the result of a call that runs no callbacks. */
inline int check(const shared_core &k, int result)
{
	if (result < 0)
		core::fail(k.get(), result);
	return result;
}

/* Throws for the result of a call that processes; an exception of a callback goes first. */
inline int served(const shared_core &k, int result)
{
	if (k != nullptr)
		k->rethrow();
	return check(k, result);
}

/* A name that ends with a zero byte, on the stack. A zero byte within it becomes 0x01, and a name
 * that is too long stays too long: the library refuses both. */
class text
{
      public:
	explicit text(std::string_view s) noexcept
	{
		std::size_t bytes = s.size() < sizeof(bytes_) - 1 ? s.size() : sizeof(bytes_) - 1;

		if (bytes > 0)
			std::memcpy(bytes_, s.data(), bytes);
		for (std::size_t i = 0; i < bytes; i++) {
			if (bytes_[i] == '\0')
				bytes_[i] = '\1';
		}
		bytes_[bytes] = '\0';
	}
	operator const char *() const noexcept
	{
		return bytes_;
	}

      private:
	char bytes_[MR_SUBJECT_BYTES + 2];
};

inline const char *or_null(const std::string &s) noexcept
{
	return s.empty() ? nullptr : s.c_str();
}

inline int to_ms(milliseconds t) noexcept
{
	return t.count() < 0 ? -1 : t.count() > INT_MAX ? INT_MAX : static_cast<int>(t.count());
}

inline unsigned to_limit_ms(milliseconds t) noexcept
{
	return static_cast<unsigned>(t.count() < 0 ? INT_MAX : to_ms(t));
}

/* A claim or a callback keeps the library from ending the thing: it stays. */
inline bool stays(int result) noexcept
{
	return result == -EBUSY || result == -EDEADLK;
}

/* A thing in the library and the client that it belongs to; does not own it. */
template <class T> class thing
{
      public:
	thing() = default;
	thing(shared_core k, T *raw) noexcept : core_(std::move(k)), raw_(raw)
	{
	}

	/** True while it is open and its client is. */
	explicit operator bool() const noexcept
	{
		return raw_ != nullptr && core_->c != nullptr;
	}
	/** For functions of millrace.h; NULL when it is closed. */
	T *native() const noexcept
	{
		return *this ? raw_ : nullptr;
	}

      protected:
	template <class F> int on(F &&f) const noexcept
	{
		return *this ? f(raw_) : -EBADF;
	}
	int check(int result) const
	{
		return detail::check(core_, result);
	}
	int served(int result) const
	{
		return detail::served(core_, result);
	}

	shared_core core_;
	T *raw_ = nullptr;
};

/* A thing that is closed with its handle, and its callback. */
template <class T, int (*End)(T *)> class handle : public thing<T>
{
      public:
	handle() = default;
	handle(handle &&other) noexcept
	{
		swap(other);
	}
	handle &operator=(handle &&other) noexcept
	{
		handle(std::move(other)).swap(*this);
		return *this;
	}
	~handle()
	{
		(void)try_close();
	}

	/** Closes it; does nothing if it is closed. Processes. */
	void close()
	{
		const shared_core k = this->core_;

		detail::served(k, try_close());
	}
	int try_close() noexcept
	{
		const int result = *this ? End(this->raw_) : 0;

		if (stays(result))
			return result;
		if (*this)
			this->core_->end(callback_);
		this->raw_ = nullptr;
		callback_ = nullptr;
		this->core_.reset();
		return result;
	}

      protected:
	void open(shared_core k, T *raw, callback *cb) noexcept
	{
		(void)try_close();
		this->core_ = std::move(k);
		this->raw_ = raw;
		callback_ = cb;
	}

	callback *callback_ = nullptr;

      private:
	void swap(handle &other) noexcept
	{
		std::swap(this->core_, other.core_);
		std::swap(this->raw_, other.raw_);
		std::swap(callback_, other.callback_);
	}
};

template <class T, void (*End)(T *)> int end_of(T *raw)
{
	End(raw);
	return 0;
}

} // namespace detail

} // namespace millrace

#endif
