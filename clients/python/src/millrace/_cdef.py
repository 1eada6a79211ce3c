# SPDX-License-Identifier: Apache-2.0
"""The C declarations of libmillrace that this package uses, for cffi.

With a compiler, layouts come from millrace.h: each struct ends in "...", and cffi asks the compiler.
Without one, the layouts below are used. They are those of release 0.1.0, which the exported functions
keep for ever. A struct with fields of a later release goes to a function ending in `_sized`.
"""

_TYPES = """
struct mr_client;
struct mr_publisher;
struct mr_subscription;
struct mr_queue;
struct mr_consumer;
struct mr_service;
struct mr_stream;
struct mr_timer;
struct mr_admin;

struct mr_options {
    const char *name;
    unsigned connect_timeout_ms;
    unsigned request_timeout_ms;
    unsigned spin_us;
    bool no_reconnect;
    void (*on_state)(struct mr_client *c, bool connected, int error, void *arg);
    void (*on_gap)(struct mr_client *c, uint64_t missed, uint64_t missed_total, void *arg);
    void *arg;
    int when_away;
    size_t away_bytes_max;
    @GROWS@
};

struct mr_client_stats {
    uint64_t published;
    uint64_t received;
    uint64_t missed;
    uint64_t unmatched;
    uint64_t malformed;
    uint64_t reconnects;
    uint64_t session;
    unsigned worker;
    uint64_t frames_sent;
    uint64_t frames_received;
    uint64_t frames_lost;
    uint64_t frames_duplicate;
    uint64_t frames_strange;
    uint64_t unsent;
    uint64_t reliable_sent;
    uint64_t reliable_received;
    uint64_t retransmits;
    uint64_t retransmit_timeouts;
    uint64_t frames_held;
    uint64_t rtt_us;
    uint64_t duplicates;
    uint64_t lost;
    uint64_t kept;
    uint64_t multicast_frames;
    uint64_t multicast_lost;
    uint64_t multicast_refused;
    @GROWS@
};

struct mr_message {
    const char *subject;
    size_t subject_bytes;
    const char *headers;
    size_t header_bytes;
    const void *payload;
    size_t payload_bytes;
    struct mr_subscription *subscription;
    bool wants_reply;
    uint64_t reply_token[2];
    @GROWS@
};

typedef void mr_messages_fn(struct mr_client *c, const struct mr_message *first, unsigned count,
    size_t stride, void *arg);
typedef void mr_part_fn(
    struct mr_client *c, uint64_t tag, const struct mr_message *part, bool more, void *arg);

struct mr_publisher_options {
    int promise;
    const char *publisher;
    uint64_t next_id;
    @GROWS@
};

struct mr_buffer {
    const void *data;
    size_t bytes;
    @GROWS@
};

struct mr_subscribe_options {
    const char *group;
    bool prefix;
    int promise;
    unsigned high_water;
    mr_messages_fn *batch;
    bool time;
    bool sender;
    bool multicast;
    const char *interface;
    @GROWS@
};

struct mr_queue_options {
    int policy;
    int when_full;
    uint64_t messages_max;
    uint64_t bytes_max;
    uint32_t age_max_ms;
    uint32_t ack_timeout_ms;
    uint16_t max_deliver;
    bool not_idempotent;
    uint8_t when_expired;
    uint16_t breaker_failures;
    uint16_t aging_s;
    uint32_t breaker_reset_ms;
    uint16_t breaker_probes;
    uint8_t single_active;
    uint8_t in_flight_per_key;
    @GROWS@
};

struct mr_queue_retry {
    uint32_t min_ms;
    uint32_t max_ms;
    uint16_t factor;
    uint8_t jitter;
    uint8_t reserved8;
};

struct mr_admin_options {
    struct mr_queue_options queue;
    struct mr_queue_retry retry;
    const char *key_from;
    const char *dead_letter;
    const char *owner;
    const char *description;
    @GROWS@
};

struct mr_push_options {
    int promise;
    const char *publisher;
    uint64_t next_id;
    struct mr_queue_options queue;
    void (*on_outcome)(struct mr_client *c, uint64_t id, int error, void *arg);
    void *arg;
    const char *key_from;
    struct mr_queue_retry retry;
    const char *dead_letter;
    @GROWS@
};

struct mr_push {
    const char *headers;
    size_t header_bytes;
    const void *payload;
    size_t bytes;
    int priority;
    uint64_t id;
    uint64_t publisher;
    uint32_t ttl_ms;
    uint32_t delay_ms;
    uint64_t at_ms;
    const char *key;
    uint64_t ticket;
    uint32_t every_ms;
    uint32_t attempts;
    const char *cron;
    @GROWS@
};

struct mr_output {
    struct mr_queue *queue;
    const struct mr_push *push;
};

struct mr_settle_options {
    int when_refused;
    uint32_t delay_ms;
    uint32_t timeout_ms;
    bool at_least_once;
    uint8_t reserved[3];
    @GROWS@
};

struct mr_delivery {
    struct mr_message message;
    struct mr_consumer *consumer;
    uint64_t tag;
    unsigned redelivered;
    int priority;
    uint64_t publisher;
    uint64_t id;
    @GROWS@
};

struct mr_consume_options {
    unsigned prefetch;
    unsigned weight;
    bool manual;
    struct mr_queue_options queue;
    const char *tag;
    double rate;
    uint32_t prefetch_bytes;
    uint32_t renew_max_ms;
    bool exclusive;
    bool auto_renew;
    uint8_t reserved[6];
    const char *key_from;
    struct mr_queue_retry retry;
    const char *dead_letter;
    @GROWS@
};

struct mr_work {
    struct mr_delivery delivery;
    bool more;
    @GROWS@
};

struct mr_serve_options {
    unsigned prefetch;
    struct mr_queue_options queue;
    mr_part_fn *on_part;
    unsigned window;
    @GROWS@
};

struct mr_call_options {
    int timeout_ms;
    unsigned retries;
    unsigned backoff_ms;
    bool wait;
    const char *headers;
    size_t header_bytes;
    uint64_t correlation;
    unsigned breaker_failures;
    unsigned breaker_reset_ms;
    @GROWS@
};

struct mr_headers {
    char *data;
    size_t bytes;
    size_t capacity;
    @GROWS@
};

struct mr_header {
    const char *name;
    size_t name_bytes;
    const char *value;
    size_t value_bytes;
    @GROWS@
};

enum mr_severity { MR_SEVERITY_ERROR, MR_SEVERITY_WARNING, MR_SEVERITY_INFO };
enum mr_event {
    MR_EVENT_DISCONNECTED, MR_EVENT_CONNECTED, MR_EVENT_RETRY, MR_EVENT_GAP, MR_EVENT_REFUSED,
    MR_EVENT_MALFORMED, MR_EVENT_UNMATCHED, MR_EVENT_MISSED, MR_EVENT_LOST, MR_EVENT_MULTICAST
};

struct mr_request_many_options {
    unsigned replies_max;
    unsigned timeout_ms;
    unsigned stall_ms;
    unsigned reserved32;
    const char *headers;
    size_t header_bytes;
    @GROWS@
};

struct mr_admin_queue {
    const char *name;
    bool service;
    bool paused;
    bool circuit_open;
    unsigned worker;
    unsigned consumers;
    uint64_t ready;
    uint64_t delayed;
    uint64_t outstanding;
    uint64_t bytes;
    uint64_t oldest_ms;
    uint64_t dead_ready;
    uint64_t pushed;
    uint64_t accepted;
    uint64_t refused;
    uint64_t duplicates;
    uint64_t delivered;
    uint64_t redelivered;
    uint64_t acked;
    uint64_t dead;
    uint64_t expired;
    uint64_t replies;
    uint64_t failures;
    @GROWS@
};

struct mr_admin_client {
    const char *name;
    uint64_t session;
    uint64_t opened_ns;
    bool remote;
    unsigned worker;
    unsigned subscriptions;
    unsigned uid;
    unsigned gid;
    unsigned pid;
    uint64_t rx_messages;
    uint64_t rx_bytes;
    uint64_t tx_messages;
    uint64_t tx_bytes;
    uint64_t missed;
    uint64_t rejected;
    uint64_t backlog_bytes;
    uint64_t held_messages;
    @GROWS@
};

struct mr_admin_subject {
    const char *pattern;
    const char *group;
    uint64_t session;
    bool prefix;
    @GROWS@
};

struct mr_admin_worker {
    unsigned worker;
    int cpu;
    unsigned silent_ms;
    uint64_t rx_messages;
    uint64_t rx_bytes;
    uint64_t tx_messages;
    uint64_t tx_bytes;
    uint64_t published;
    uint64_t delivered;
    @GROWS@
};

struct mr_admin_counter {
    const char *scope;
    unsigned index;
    const char *name;
    uint64_t value;
    const char *text;
    @GROWS@
};

struct mr_admin_dead_letter {
    uint64_t age_ms;
    uint64_t bytes;
    const char *headers;
    size_t header_bytes;
    const void *payload;
    size_t payload_bytes;
    @GROWS@
};

typedef void mr_admin_queue_fn(const struct mr_admin_queue *row, void *arg);
typedef void mr_admin_client_fn(const struct mr_admin_client *row, void *arg);
typedef void mr_admin_subject_fn(const struct mr_admin_subject *row, void *arg);
typedef void mr_admin_worker_fn(const struct mr_admin_worker *row, void *arg);
typedef void mr_admin_counter_fn(const struct mr_admin_counter *row, void *arg);
typedef void mr_admin_dead_letter_fn(const struct mr_admin_dead_letter *row, void *arg);

typedef void mr_log_fn(struct mr_client *c, enum mr_severity severity, enum mr_event event,
    const char *text, void *arg);
typedef void mr_post_fn(struct mr_client *c, void *arg);
typedef void mr_timer_fn(struct mr_client *c, struct mr_timer *t, void *arg);
typedef void mr_subscription_fn(struct mr_client *c, struct mr_subscription *s, void *arg);
typedef void mr_message_fn(struct mr_client *c, const struct mr_message *m, void *arg);
typedef void mr_reply_fn(struct mr_client *c, const struct mr_message *reply, int error, void *arg);
typedef void mr_delivery_fn(struct mr_client *c, const struct mr_delivery *d, void *arg);
typedef void mr_recall_fn(struct mr_client *c, uint64_t tag, void *arg);
typedef void mr_settle_fn(struct mr_client *c, uint64_t tag, int error, void *arg);
typedef void mr_work_fn(struct mr_client *c, const struct mr_work *work, void *arg);
typedef void mr_call_fn(struct mr_client *c, uint64_t correlation, const struct mr_message *reply,
    bool more, int error, void *arg);
"""

_FUNCTIONS = """
int mr_connect_sized(const char *address, const struct mr_options *options,
    struct mr_client **out, size_t options_bytes);
void mr_close(struct mr_client *c);
bool mr_connected(const struct mr_client *c);
const char *mr_error(const struct mr_client *c);
const char *mr_error_text(int code);
const char *mr_version(void);
unsigned mr_version_number(void);
int mr_version_check(unsigned header);
void mr_client_stats(const struct mr_client *c, struct mr_client_stats *out);
int mr_ping(struct mr_client *c, int timeout_ms, uint64_t *handled_ns, uint64_t *round_ns);
size_t mr_body_bytes_max(const struct mr_client *c, const char *subject);
size_t mr_message_bytes_max(const struct mr_client *c);

void mr_cork(struct mr_client *c, bool on);
int mr_publish_with(struct mr_client *c, const char *subject, const char *headers,
    size_t header_bytes, const void *payload, size_t bytes);
int mr_publisher_open_with(struct mr_client *c, const char *subject,
    const struct mr_publisher_options *options, struct mr_publisher **out);
int mr_publisher_send_with(struct mr_publisher *p, const char *headers, size_t header_bytes,
    const void *payload, size_t bytes);
int mr_publisher_send_batch(
    struct mr_publisher *p, const struct mr_buffer *buffers, unsigned count);
int mr_publisher_claim(struct mr_publisher *p, size_t bytes, void **payload);
int mr_publisher_commit(struct mr_publisher *p, size_t bytes);
void mr_publisher_abort(struct mr_publisher *p);
int mr_publisher_claim_batch(
    struct mr_publisher *p, size_t bytes, unsigned count, void **first, size_t *stride);
int mr_publisher_commit_batch(struct mr_publisher *p, unsigned count);
int mr_publisher_request(struct mr_publisher *p, const void *payload, size_t bytes,
    int timeout_ms, mr_reply_fn *callback, void *arg);
void mr_publisher_close(struct mr_publisher *p);
int mr_flush(struct mr_client *c);
int mr_drain(struct mr_client *c, unsigned timeout_ms);
int mr_settle(struct mr_client *c, unsigned timeout_ms);
int mr_client_drain(struct mr_client *c, unsigned timeout_ms);

int mr_subscribe_sized(struct mr_client *c, const char *pattern,
    const struct mr_subscribe_options *options, mr_message_fn *callback, void *arg,
    struct mr_subscription **out, size_t options_bytes);
int mr_unsubscribe(struct mr_subscription *s);
uint64_t mr_subscription_count(const struct mr_subscription *s);
int mr_unsubscribe_after(struct mr_subscription *s, uint64_t messages);
int mr_subscription_drain(struct mr_subscription *s);
void mr_subscription_on_end(
    struct mr_subscription *s, mr_subscription_fn *callback, void *arg);
bool mr_subscription_ended(const struct mr_subscription *s);
bool mr_subscription_is_multicast(const struct mr_subscription *s);

uint64_t mr_message_time_ns(const struct mr_message *m);
uint64_t mr_message_sender(const struct mr_message *m, const char **name, size_t *name_bytes);

int mr_process(struct mr_client *c, unsigned max);
int mr_wait(struct mr_client *c, int timeout_ms);
int mr_fd(struct mr_client *c);
void mr_client_wake(struct mr_client *c);
int mr_client_post(struct mr_client *c, mr_post_fn *run, void *arg);

int mr_timer_open(
    struct mr_client *c, mr_timer_fn *callback, void *arg, struct mr_timer **out);
int mr_timer_start(struct mr_timer *t, unsigned delay_ms, unsigned period_ms);
void mr_timer_stop(struct mr_timer *t);
void mr_timer_close(struct mr_timer *t);

void mr_log_hook(struct mr_client *c, enum mr_severity severity, mr_log_fn *hook, void *arg);

int mr_admin_open(const char *address, struct mr_admin **out);
void mr_admin_close(struct mr_admin *a);
int mr_admin_queues(struct mr_admin *a, bool services, mr_admin_queue_fn *row, void *arg);
int mr_admin_clients(struct mr_admin *a, mr_admin_client_fn *row, void *arg);
int mr_admin_subjects(struct mr_admin *a, mr_admin_subject_fn *row, void *arg);
int mr_admin_workers(struct mr_admin *a, mr_admin_worker_fn *row, void *arg);
int mr_admin_counters(struct mr_admin *a, mr_admin_counter_fn *row, void *arg);
int mr_admin_dead_letters(struct mr_admin *a, const char *queue, unsigned count,
    mr_admin_dead_letter_fn *row, void *arg);
int mr_admin_purge(struct mr_admin *a, const char *queue, uint64_t *dropped);
int mr_admin_redrive(struct mr_admin *a, const char *queue, unsigned count, uint64_t *moved);
int mr_admin_edit_with_sized(struct mr_admin *a, const char *queue, bool service, unsigned edits,
    const struct mr_admin_options *values, size_t values_bytes);
int mr_admin_edit(struct mr_admin *a, const char *queue, bool service, unsigned edits,
    const struct mr_queue_options *values);
int mr_admin_bind(struct mr_admin *a, const char *queue, const char *subject, unsigned *bindings);
int mr_admin_unbind(struct mr_admin *a, const char *queue, const char *subject, unsigned *bindings);

int mr_request_with(struct mr_client *c, const char *subject, const char *headers,
    size_t header_bytes, const void *payload, size_t bytes, int timeout_ms,
    struct mr_message *reply);
int mr_request_async(struct mr_client *c, const char *subject, const void *payload,
    size_t bytes, int timeout_ms, mr_reply_fn *callback, void *arg);
int mr_request_many(struct mr_client *c, const char *subject, const void *payload,
    size_t bytes, const struct mr_request_many_options *options, mr_reply_fn *callback,
    void *arg);
int mr_request_many_async(struct mr_client *c, const char *subject, const void *payload,
    size_t bytes, const struct mr_request_many_options *options, mr_reply_fn *callback,
    void *arg);
int mr_reply_with(struct mr_client *c, const uint64_t reply_token[2], const char *headers,
    size_t header_bytes, const void *payload, size_t bytes);

void mr_headers_init(struct mr_headers *h, void *memory, size_t capacity);
int mr_headers_add(struct mr_headers *h, const char *name, const char *value);
bool mr_headers_next(
    const char *block, size_t block_bytes, size_t *cursor, struct mr_header *out);

int mr_queue_open_sized(struct mr_client *c, const char *name,
    const struct mr_push_options *options, struct mr_queue **out, size_t options_bytes);
void mr_queue_close(struct mr_queue *q);
int mr_push_with_sized(
    struct mr_queue *q, const struct mr_push *push, uint64_t *id, size_t push_bytes);
unsigned mr_queue_unaccepted(const struct mr_queue *q);
uint64_t mr_queue_ticket(struct mr_queue *q);
int mr_queue_cancel(struct mr_client *c, const char *queue, uint64_t ticket);
int mr_consume_sized(struct mr_client *c, const char *queue,
    const struct mr_consume_options *options, mr_delivery_fn *callback, void *arg,
    struct mr_consumer **out, size_t options_bytes);
int mr_consumer_close(struct mr_consumer *consumer);
int mr_consumer_pause(struct mr_consumer *consumer);
int mr_consumer_resume(struct mr_consumer *consumer);
int mr_ack(struct mr_consumer *consumer, uint64_t tag);
int mr_nack(struct mr_consumer *consumer, uint64_t tag, bool requeue, uint32_t delay_ms);
int mr_nack_error(struct mr_consumer *consumer, uint64_t tag, bool requeue, uint32_t delay_ms,
    const char *text);
void mr_consumer_retry_delay(struct mr_consumer *consumer, uint32_t delay_ms);
int mr_give_back(struct mr_consumer *consumer, uint64_t tag);
int mr_settle_and_push_sized(const struct mr_delivery *input,
    const struct mr_output *outputs, size_t count, const struct mr_settle_options *options,
    size_t options_bytes, size_t push_bytes);
int mr_settle_and_push_async_sized(const struct mr_delivery *input,
    const struct mr_output *outputs, size_t count, const struct mr_settle_options *options,
    mr_settle_fn *callback, void *arg, size_t options_bytes, size_t push_bytes);
unsigned mr_delivery_attempts(const struct mr_delivery *d);
uint64_t mr_delivery_number(const struct mr_delivery *d);
unsigned mr_delivery_priority(const struct mr_delivery *d);
int mr_progress(struct mr_consumer *consumer, uint64_t tag);
void mr_consumer_renew(struct mr_consumer *consumer, bool on);
void mr_consumer_on_recall(struct mr_consumer *consumer, mr_recall_fn *fn, void *arg);
unsigned mr_consumer_ack_timeout_ms(const struct mr_consumer *consumer);
unsigned mr_consumer_max_deliver(const struct mr_consumer *consumer);

int mr_serve(struct mr_client *c, const char *service,
    const struct mr_serve_options *options, mr_work_fn *callback, void *arg,
    struct mr_service **out);
int mr_service_close(struct mr_service *s);
int mr_respond_with(struct mr_service *s, uint64_t tag, bool more, const char *headers,
    size_t header_bytes, const void *payload, size_t bytes);
unsigned mr_respond_room(const struct mr_service *s, uint64_t tag);
int mr_respond_failed(struct mr_service *s, uint64_t tag, bool again);
int mr_respond_progress(struct mr_service *s, uint64_t tag);
void mr_service_renew(struct mr_service *s, bool on);
void mr_service_on_recall(struct mr_service *s, mr_recall_fn *fn, void *arg);

int mr_call(struct mr_client *c, const char *service, const void *payload, size_t bytes,
    const struct mr_call_options *options, struct mr_message *reply);
int mr_call_async(struct mr_client *c, const char *service, const void *payload,
    size_t bytes, const struct mr_call_options *options, mr_call_fn *callback, void *arg);
int mr_stream_open(struct mr_client *c, const char *service, const void *payload,
    size_t bytes, const struct mr_call_options *options, mr_call_fn *callback, void *arg,
    struct mr_stream **out);
int mr_stream_send(struct mr_stream *s, const void *payload, size_t bytes, bool more);
void mr_stream_close(struct mr_stream *s);
"""

#: Functions of this package that the library calls: name -> type of the parameters.
CALLBACKS = {
    "mrpy_on_state": "struct mr_client *, bool, int, void *",
    "mrpy_on_gap": "struct mr_client *, uint64_t, uint64_t, void *",
    "mrpy_on_message": "struct mr_client *, const struct mr_message *, void *",
    "mrpy_on_messages": "struct mr_client *, const struct mr_message *, unsigned, size_t, void *",
    "mrpy_on_reply": "struct mr_client *, const struct mr_message *, int, void *",
    "mrpy_on_outcome": "struct mr_client *, uint64_t, int, void *",
    "mrpy_on_delivery": "struct mr_client *, const struct mr_delivery *, void *",
    "mrpy_on_recall": "struct mr_client *, uint64_t, void *",
    "mrpy_on_work": "struct mr_client *, const struct mr_work *, void *",
    "mrpy_on_part": "struct mr_client *, uint64_t, const struct mr_message *, bool, void *",
    "mrpy_on_end": "struct mr_client *, struct mr_subscription *, void *",
    "mrpy_on_timer": "struct mr_client *, struct mr_timer *, void *",
    "mrpy_on_post": "struct mr_client *, void *",
    "mrpy_on_log": "struct mr_client *, enum mr_severity, enum mr_event, const char *, void *",
    "mrpy_on_row": "const void *, void *",
    "mrpy_on_call": "struct mr_client *, uint64_t, const struct mr_message *, bool, int, void *",
}


def declarations(compiled: bool) -> str:
    """Text for FFI.cdef(). compiled: layouts and callbacks come from the C compiler."""
    if not compiled:
        return _TYPES.replace("@GROWS@", "") + _FUNCTIONS
    text = "#define MR_VERSION_NUMBER ...\n" + _TYPES.replace("@GROWS@", "...;") + _FUNCTIONS
    for name, parameters in CALLBACKS.items():
        text += f'extern "Python" void {name}({parameters});\n'
    return text
