/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/text.h"

static uint64_t latency_ns(const struct mr_bench_report *r, double quantile)
{
	return (uint64_t)((double)mr_histogram_at(&r->latency, quantile) / r->ticks_per_ns);
}

static void cpu_model(char *out, size_t out_bytes)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(out, out_bytes, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !colon)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(out, out_bytes, "%s", colon + 2);
		break;
	}
	if (f)
		fclose(f);
}

void mr_bench_report_quantity(double value, char *out, size_t out_bytes)
{
	static const char *const units[] = {"", " k", " M", " G", " T"};
	unsigned unit = 0;

	while (value >= 999.5 && unit + 1 < MR_ARRAY_COUNT(units)) {
		value /= 1000;
		unit++;
	}
	snprintf(out, out_bytes, "%.*f%s",
		value < 10    ? 2
		: value < 100 ? 1
			      : 0,
		value, units[unit]);
}

static void print_quantity(const char *title, double value, const char *unit)
{
	char text[32];

	mr_bench_report_quantity(value, text, sizeof(text));
	printf("  %-18s %s%s\n", title, text, unit);
}

static void print_errors(const struct mr_bench_totals *t, bool request)
{
	printf("  %-18s %" PRIu64 "\n", "lost", t->lost);
	if (t->missed)
		printf("  %-18s %" PRIu64 "\n", "reported missed", t->missed);
	if (!request || t->duplicates || t->reordered)
		printf("  %-18s %" PRIu64 " duplicate, %" PRIu64 " out of order\n", "sequence",
			t->duplicates, t->reordered);
	printf("  %-18s %" PRIu64 " corrupt\n", "content", t->corrupt);
	if (t->failed)
		printf("  %-18s %" PRIu64 "\n", "requests failed", t->failed);
}

/* Returns frames per second in the measured time, from the messages per frame of the whole run. */
static double frames_per_second(uint64_t frames, uint64_t messages, double messages_per_second)
{
	return messages ? (double)frames / (double)messages * messages_per_second : 0;
}

static double sent_per_second(const struct mr_bench_report *r)
{
	return frames_per_second(
		r->totals.frames_sent, r->totals.published, r->published_per_second);
}

static double received_per_second(const struct mr_bench_report *r)
{
	return frames_per_second(
		r->totals.frames_received, r->totals.delivered, r->delivered_per_second);
}

static void print_frames(const struct mr_bench_report *r)
{
	char sent[32], received[32];

	mr_bench_report_quantity(sent_per_second(r), sent, sizeof(sent));
	mr_bench_report_quantity(received_per_second(r), received, sizeof(received));
	printf("  %-18s %s/s sent, %s/s received, %" PRIu64 " lost on the way back\n", "frames",
		sent, received, r->totals.frames_lost);
}

void mr_bench_report_print(const struct mr_bench_report *r, bool colour)
{
	const struct mr_bench_plan *plan = r->plan;
	const char *bold = colour ? "\033[1m" : "", *plain = colour ? "\033[0m" : "";

	printf("%smillrace bench: %s, %s, %zu bytes, %u %s, %u %s%s\n", bold,
		plan->udp ? "udp" : "shm",
		plan->service   ? "service"
		: plan->request ? "request-reply"
		: plan->queue   ? "queue"
				: "publish-subscribe",
		plan->bytes, plan->publishers,
		plan->request ? "requesters"
		: plan->queue ? "producers"
			      : "publishers",
		plan->subscribers,
		plan->request ? "responders"
		: plan->queue ? "consumers"
			      : "subscribers",
		plain);
	print_quantity(plan->request ? "requests" : "published", r->published_per_second, "/s");
	print_quantity(plan->request ? "replies" : "delivered", r->delivered_per_second, "/s");
	print_quantity("payload", r->delivered_per_second * (double)plan->bytes, "B/s");
	if (plan->udp)
		print_frames(r);
	print_errors(&r->totals, plan->request);
	printf("  %-18s p50 %.1f  p99 %.1f  p99.9 %.1f  max %.1f us\n",
		plan->request    ? "round trip"
		: plan->rate > 0 ? "latency"
				 : "queueing time",
		(double)latency_ns(r, 0.5) / 1e3, (double)latency_ns(r, 0.99) / 1e3,
		(double)latency_ns(r, 0.999) / 1e3, (double)latency_ns(r, 1) / 1e3);
	if (r->worker_cycles_per_message >= 0)
		printf("  %-18s %.0f cycles/message\n", r->workers > 1 ? "workers" : "worker",
			r->worker_cycles_per_message);
	printf("  %-18s %.2f s after %.2f s of warm-up\n", "measured", r->seconds,
		r->warmup_seconds);
}

static void set_count(json_t *o, const char *key, uint64_t value)
{
	json_object_set_new(o, key, json_integer((json_int_t)value));
}

static void set_real(json_t *o, const char *key, double value)
{
	json_object_set_new(o, key, json_real(value));
}

static const char *const promises[] = {"best-effort", "at-least-once", "exactly-once"};

static void set_plan(json_t *o, const struct mr_bench_plan *plan)
{
	json_object_set_new(o, "transport", json_string(plan->udp ? "udp" : "shm"));
	json_object_set_new(o, "pattern",
		json_string(plan->service   ? "service"
			    : plan->request ? "request"
			    : plan->queue   ? "queue"
					    : "pubsub"));
	set_count(o, "payload_bytes", plan->bytes);
	set_count(o, "publishers", plan->publishers);
	set_count(o, "subscribers", plan->subscribers);
	set_count(o, "threads", plan->threads);
	set_count(o, "subjects_per_publisher", plan->subjects);
	json_object_set_new(o, "verify", json_string(plan->full ? "full" : "sequence"));
	if (plan->service || plan->queue)
		set_count(o, "prefetch", plan->prefetch);
	if (plan->queue)
		json_object_set_new(o, "ack", json_string(plan->manual ? "manual" : "auto"));
	if (!plan->request)
		json_object_set_new(o, "promise", json_string(promises[plan->promise]));
	if (plan->loss >= 0)
		set_real(o, "loss_percent", plan->loss);
	if (plan->request)
		set_count(o, "outstanding", plan->outstanding);
	else
		set_count(o, "batch", plan->batch);
	if (plan->rate > 0)
		set_real(o, "rate", plan->rate);
	else if (!plan->request)
		set_count(o, "window", plan->window * plan->publishers);
}

static json_t *latency_json(const struct mr_bench_report *r)
{
	json_t *o = json_object();

	set_count(o, "min", (uint64_t)((double)r->latency.min / r->ticks_per_ns));
	set_count(o, "p50", latency_ns(r, 0.5));
	set_count(o, "p90", latency_ns(r, 0.9));
	set_count(o, "p99", latency_ns(r, 0.99));
	set_count(o, "p999", latency_ns(r, 0.999));
	set_count(o, "max", latency_ns(r, 1));
	return o;
}

static json_t *machine_json(void)
{
	json_t *o = json_object();
	struct utsname name;
	char model[128];

	cpu_model(model, sizeof(model));
	json_object_set_new(o, "cpu", json_string(model));
	set_count(o, "cpus", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	if (uname(&name) == 0)
		json_object_set_new(o, "kernel", json_string(name.release));
	return o;
}

void mr_bench_report_json(const struct mr_bench_report *r)
{
	const struct mr_bench_totals *t = &r->totals;
	json_t *o = json_object();

	set_plan(o, r->plan);
	set_real(o, "seconds", r->seconds);
	set_real(o, "warmup_seconds", r->warmup_seconds);
	set_real(o, "published_per_second", r->published_per_second);
	set_real(o, "delivered_per_second", r->delivered_per_second);
	set_count(o, "published", t->published);
	set_count(o, "delivered", t->delivered);
	set_count(o, "lost", t->lost);
	set_count(o, "missed_reported", t->missed);
	set_count(o, "duplicates", t->duplicates);
	set_count(o, "reordered", t->reordered);
	set_count(o, "corrupt", t->corrupt);
	set_count(o, "failed_requests", t->failed);
	if (r->plan->udp) {
		set_real(o, "frames_sent_per_second", sent_per_second(r));
		set_real(o, "frames_received_per_second", received_per_second(r));
		set_count(o, "frames_lost", t->frames_lost);
		set_count(o, "retransmits", t->retransmits);
	}
	json_object_set_new(o, "latency_ns", latency_json(r));
	set_count(o, "samples", r->latency.total);
	if (r->worker_cycles_per_message >= 0)
		set_real(o, "worker_cycles_per_message", r->worker_cycles_per_message);
	else
		json_object_set_new(o, "worker_cycles_per_message", json_null());
	set_count(o, "workers", r->workers);
	json_object_set_new(o, "machine", machine_json());
	mr_cli_text_json_line(o);
}
