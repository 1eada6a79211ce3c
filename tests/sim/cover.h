/* SPDX-License-Identifier: Apache-2.0 */
/* cover: counts the events of the runs, verb by verb, so that a verb that never happens is seen.
 * Most are counted where the bus has done them.
 *
 * Threads   The world's and its processes'.
 */
#ifndef MILLRACE_TESTS_SIM_COVER_H
#define MILLRACE_TESTS_SIM_COVER_H

#include <stdbool.h>
#include <stdint.h>

#define COVER_VERBS(X)                                                                             \
	X(PUSH, "push")                                                                            \
	X(PUSH_FRAGMENTS, "push in fragments")                                                     \
	X(PUSH_KEY, "push with a key")                                                             \
	X(PUSH_HEADER_KEY, "push whose key is a header")                                           \
	X(PUSH_TTL, "push with a time to live")                                                    \
	X(PUSH_DELAY, "push with a delay")                                                         \
	X(PUSH_AT, "push for a time")                                                              \
	X(PUSH_PRIORITY, "push with a priority")                                                   \
	X(PUSH_TICKET, "push with a ticket")                                                       \
	X(CANCEL, "cancel by ticket")                                                              \
	X(CANCEL_TOLD, "cancel, and the program was told")                                         \
	X(CANCEL_LATE, "cancel too late")                                                          \
	X(AGED, "older message of a lower priority goes first")                                    \
	X(EDIT_AGING, "edit of ageing")                                                            \
	X(PUSH_REFUSED, "push refused")                                                            \
	X(PUBLISH, "publish into a bound queue")                                                   \
	X(PUBLISH_KEY, "publish whose key is a token")                                             \
	X(DELIVER, "deliver")                                                                      \
	X(DELIVER_KEY, "deliver by key")                                                           \
	X(KEY_MOVED, "key goes to another consumer")                                               \
	X(KEY_STUCK, "key is never settled")                                                       \
	X(ACK, "ack")                                                                              \
	X(ACK_UP_TO, "ack up to")                                                                  \
	X(NACK, "nack")                                                                            \
	X(NACK_DELAY, "nack with a delay")                                                         \
	X(NACK_DELAY_KEY, "nack with a delay, of a key")                                           \
	X(REJECT, "reject")                                                                        \
	X(GIVE_BACK, "give back")                                                                  \
	X(PROGRESS, "progress")                                                                    \
	X(LEAVE, "consumer leaves")                                                                \
	X(TIME_OUT, "delivery times out")                                                          \
	X(LOST, "delivery is lost with its session")                                               \
	X(DEAD_REJECTED, "dead letter: rejected")                                                  \
	X(DEAD_MAX_DELIVER, "dead letter: max-deliver")                                            \
	X(DEAD_EXPIRED, "dead letter: expired")                                                    \
	X(DEAD_FULL, "dead letter: full")                                                          \
	X(LETTER, "dead letter, read from NAME.dead")                                              \
	X(LETTER_NAMED, "dead letter, read from a named queue")                                    \
	X(LETTER_ERROR, "dead letter with an error text")                                          \
	X(LETTER_NONE, "dead letter discarded: none are kept")                                     \
	X(LETTER_FULL, "dead letter discarded: its queue is full")                                 \
	X(LETTER_NAME, "place of dead letters named")                                              \
	X(LETTER_LOOP, "loop of dead letters refused")                                             \
	X(RETRY, "back-off of the queue")                                                          \
	X(ERROR_TEXT, "error text kept")                                                           \
	X(EDIT_RETRY, "edit of the back-off")                                                      \
	X(STAGE_INPUT, "stage: input")                                                             \
	X(STAGE_OUTPUT, "stage: output")                                                           \
	X(STAGE_SETTLED, "stage: input settled with its outputs")                                  \
	X(STAGE_ASYNC, "stage: settle and push without waiting")                                   \
	X(STAGE_TOLD, "stage: program told that it is settled")                                    \
	X(STAGE_FAILED, "stage: settle and push failed")                                           \
	X(STAGE_AGAIN, "stage: input again")                                                       \
	X(STAGE_KNOWN, "stage: output dropped as known")                                           \
	X(FULL_DROPPED, "oldest message dropped")                                                  \
	X(FULL_DEAD, "oldest message dead")                                                        \
	X(FULL_NONE, "publish discarded: dead letters have no room")                               \
	X(FULL_SHRINKS, "queue is above lowered limits")                                           \
	X(EDIT, "edit")                                                                            \
	X(CONTROL_KILLED, "control killed")                                                        \
	X(REQUEST_LOST, "request lost with control")                                               \
	X(ANSWER_LOST, "request done, and its answer lost with control")                           \
	X(EDIT_POLICY, "edit to or from key-shared")                                               \
	X(EDIT_IN_FLIGHT, "edit of in_flight_per_key")                                             \
	X(EDIT_REFUSED, "edit refused")                                                            \
	X(SCHEDULE_EVERY, "schedule by a period")                                                  \
	X(SCHEDULE_CRON, "schedule by cron")                                                       \
	X(SCHEDULE_REPLACED, "schedule replaced")                                                  \
	X(UNSCHEDULE, "unschedule")                                                                \
	X(UNSCHEDULE_NONE, "unschedule of none, or of another host's")                             \
	X(SCHEDULE_FIRED, "schedule fires")                                                        \
	X(SCHEDULE_CRON_FIRED, "schedule by cron fires, without a step of the clock")              \
	X(SCHEDULE_STEPPED, "schedule by cron fires after a step of the clock")                    \
	X(SCHEDULE_MADE_UP, "schedule makes up for several times by one copy")                     \
	X(SCHEDULE_ANEW, "schedule begins anew: the clock stepped back by hours")                  \
	X(SCHEDULE_SKIPPED, "copy left out: the queue is full")                                    \
	X(SCHEDULE_PURGED, "purge of a queue with schedules")                                      \
	X(SCHEDULE_HANDED, "copy handed out")                                                      \
	X(CLOCK_FORWARD, "fault: clock steps forward")                                             \
	X(CLOCK_BACK, "fault: clock steps back")                                                   \
	X(CLOCK_SUSPEND, "fault: machine suspended, its clock of Unix time goes on")               \
	X(FREEZE_MACHINE, "fault: machine stands still")                                           \
	X(FREEZE_BUS, "fault: both workers stand still")                                           \
	X(FREEZE_NEAR, "fault: first worker stands still alone")                                   \
	X(FREEZE_FAR, "fault: second worker stands still alone")                                   \
	X(FREEZE_PROCESS, "fault: program stands still")                                           \
	X(FAR_KEPT, "message or request kept for a worker that stands still")                      \
	X(KILL, "fault: program killed while it waits")                                            \
	X(KILL_SENDING, "fault: program killed as it sends")                                       \
	X(KILL_CONSUMER, "fault: consumer killed")                                                 \
	X(KILL_FROZEN, "fault: program or control killed while a worker stands still")             \
	X(KICK, "fault: session kicked")                                                           \
	X(CUT, "fault: network cut")                                                               \
	X(PAUSE, "queue paused or resumed")

#define COVER_NAME(id, text) COVER_##id,
enum cover { COVER_VERBS(COVER_NAME) COVER_COUNT };
#undef COVER_NAME

void cover(enum cover verb);
void cover_many(enum cover verb, uint64_t times);
/* True if each verb has happened. */
bool cover_is_whole(void);
/* Prints the count of each verb. */
void cover_print(void);

#endif
