// SPDX-License-Identifier: Apache-2.0
/// <reference types="node" />
import { EventEmitter } from 'node:events'

export type Payload = string | NodeJS.ArrayBufferView
/** Names and texts; a name has no blank and no colon. */
export type Headers = Record<string, string | number>

export interface ConnectOptions {
  /** Shown by `millrace clients`; at most 63 bytes. Default: "node". */
  name?: string
  /** Limit of connect(), over all addresses, ms; default 5000. */
  connectTimeoutMs?: number
  /** Limit for answers, ms; default 5000. */
  requestTimeoutMs?: number
  /** Connect again after a lost connection; default true. */
  reconnect?: boolean
  /** MTU of the path, bytes; default 1500. */
  mtu?: number
  /** Bytes that may wait for the socket, and that may wait to be accepted; default 1 MiB each. */
  bufferBytesMax?: number
  /**
   * The fate of publish() while the bus is away. 'error', the default: it throws ENOTCONN. 'keep': the message waits for
   * the bus, and without room for it publish() throws. 'drop-oldest': the oldest of those that wait are dropped.
   */
  whenAway?: 'error' | 'keep' | 'drop-oldest'
  /** Memory for messages that wait for the bus, each 80 bytes beside its texts; default 1 MiB. */
  awayBytesMax?: number
}

/**
 * Connects to the first address that answers: udp://HOST[:PORT], several in an array or with commas.
 * Default: $MILLRACE_SERVER.
 */
export function connect(servers?: string | string[], options?: ConnectOptions): Promise<Client>
export function connect(options: ConnectOptions & { servers?: string | string[] }): Promise<Client>

export interface SubscribeOptions {
  /** Queue group: of all members, one gets each message. */
  group?: string
  /** The pattern is the beginning of subjects. */
  prefix?: boolean
  /** While this client is full, promised messages hold their publishers back. */
  promised?: boolean
  /** Percent of the log above which it is full; 0: the default of the bus. */
  highWater?: number
  /** Ends it after exactly so many messages. */
  max?: number
  /** Messages that wait for `for await`, at most; default 4096. Further ones are missed, but promised ones wait. */
  inboxMax?: number
  /** Messages say when the bus took them: timeNs. */
  time?: boolean
  /** Messages name their sender; a bus that does not show senders refuses that with EPERM. */
  sender?: boolean
}

/** How a queue chooses the consumer of the next message. */
export type Policy = 'default' | 'least-recently-used' | 'round-robin' | 'least-outstanding' | 'random' | 'weighted' |
  'key-shared'

/** Options of a service that this client makes; what is missing is the default of the bus. */
export interface ServiceOptions {
  /** A number is the place in this list. */
  policy?: Policy | 0 | 1 | 2 | 3 | 4 | 5 | 6
  /** The fate of a push to a full queue: 'wait', 'refuse', or to discard the oldest message or make it a dead letter. */
  whenFull?: 'default' | 'wait' | 'refuse' | 'drop-oldest' | 'dead-letter' | 0 | 1 | 2 | 3 | 4
  messagesMax?: number | bigint
  bytesMax?: number | bigint
  ageMaxMs?: number
  ackTimeoutMs?: number
  maxDeliver?: number
  notIdempotent?: boolean
  breakerFailures?: number
  breakerResetMs?: number
  breakerProbes?: number
}

/** Options of a queue that this client makes; what is missing is the default of the bus, which agrees with any. */
export interface QueueOptions extends ServiceOptions {
  /** The fate of a message whose time to live is over; default: discard. */
  whenExpired?: 'default' | 'discard' | 'dead-letter' | 0 | 1 | 2
  /** A waiting message counts as one level of priority higher for each such time. */
  agingMs?: number
  /** True: one consumer gets all messages, the others stand by. */
  singleActive?: boolean | 0 | 1 | 2
  /** Key-shared: messages of one key that may be unsettled at once; default 1. */
  inFlightPerKey?: number
  /** Key-shared: "header NAME" or "token N", the key of a message that is pushed without one. */
  keyFrom?: string
  /** Back-off of failed attempts: the first and the longest delay, growth in hundredths, random part in percent. */
  retryMinMs?: number
  retryMaxMs?: number
  retryFactor?: number
  retryJitter?: number
  /** Queue that gets the dead letters; "none": they are discarded; "default": NAME.dead. */
  deadLetter?: string
}

export interface ConsumeOptions {
  /** Unsettled deliveries at a time; 0: the default of the bus. */
  prefetch?: number
  weight?: number
  queue?: QueueOptions
  /** Name in lists of consumers, up to 64 printable ASCII characters. */
  tag?: string
  /** Limit of deliveries, messages per second. */
  rate?: number
  /** No further delivery while the unsettled ones have so many bytes. */
  prefetchBytes?: number
  /** One consumer of the queue gets all messages, the others stand by. */
  exclusive?: boolean
  /** A delivery may be worked on for `renewMaxMs`, whatever the queue's time-out, also by a function that blocks. */
  autoRenew?: boolean
  /** Implies `autoRenew`; default 5 minutes. */
  renewMaxMs?: number
  /** Told of a delivery that the bus took back: stop working on it. */
  onRecall?: (d: Delivery) => unknown
}

export interface CallOptions {
  headers?: Headers
  /** Limit of each attempt, and of the silence after a partial reply, ms. */
  timeoutMs?: number
  /** After a time-out and while all is full; default 2. */
  retries?: number
  /** Before the first retry, ms; default 100. */
  backoffMs?: number
  /** Wait for a worker if there is none. */
  wait?: boolean
  onPartial?: (reply: Message) => void
}

export interface RequestManyOptions {
  headers?: Headers
  /** Limit for all replies, ms; default: requestTimeoutMs. */
  timeoutMs?: number
  /** Replies after which it ends; 0, the default: any number. */
  repliesMax?: number
  /** Limit from one reply to the next, ms; 0, the default: none. */
  stallMs?: number
}

export interface StreamOptions {
  headers?: Headers
  /** Limit of the silence since the last message of either side, ms. */
  timeoutMs?: number
  /** Wait for a worker if there is none. */
  wait?: boolean
}

export interface ServeOptions {
  /** Calls in hand at a time; default 1. */
  prefetch?: number
  queue?: ServiceOptions
  /** Take requests in parts: `for await (const part of request.parts)`. Otherwise their callers get EREMOTEIO. */
  streams?: boolean
  /** Parts of a request that wait to be read, at most; default 64. */
  window?: number
}

export class Client extends EventEmitter {
  readonly connected: boolean
  /** True while less than half of each buffer is in use. */
  readonly hasRoom: boolean
  /** Publishes that wait for the bus now. */
  readonly kept: number
  /** Publishes that were dropped because the bus was away. */
  readonly lost: number
  /** Resolves when the client will not connect again, with the reason. */
  readonly ended: Promise<MillraceError>

  /** Best effort. False: await room(). Throws ENOTCONN, EMSGSIZE, EINVAL, EAGAIN (the buffer is full). */
  publish(subject: string, payload: Payload, options?: { headers?: Headers }): boolean
  /** Resolves when the bus has the message: at least once; exactly once with `publisher` and `id`. */
  promise(subject: string, payload: Payload,
    options?: { headers?: Headers; publisher?: bigint; id?: bigint | number }): Promise<void>
  /** Resolves when everything promised and pushed is accepted; rejects with the first refusal, once. */
  settle(timeoutMs?: number): Promise<void>
  room(): Promise<void>

  subscribe(pattern: string, options?: SubscribeOptions): Promise<Subscription>
  subscribe(pattern: string, callback: (m: Message) => unknown, options?: SubscribeOptions): Promise<Subscription>
  /** Rejects with NoRespondersError at once if nobody subscribes. */
  request(subject: string, payload?: Payload, options?: { headers?: Headers; timeoutMs?: number }): Promise<Message>

  /** The replies of several responders, at least one. Rejects with ETIMEDOUT or NoRespondersError without any. */
  requestMany(subject: string, payload?: Payload, options?: RequestManyOptions): Promise<Message[]>

  queue(name: string, options?: QueueOptions): Promise<Queue>
  /**
   * Takes back the messages of a queue with this ticket that are not due, also those of another client of this host, and
   * ends what repeats with it. ESRCH: there is none.
   */
  cancel(queue: string, ticket: number): Promise<void>
  consume(name: string, options?: ConsumeOptions): Promise<Consumer>
  consume(name: string, callback: (d: Delivery) => unknown, options?: ConsumeOptions): Promise<Consumer>
  /** The handler's result is the reply; undefined: it answers by respond(). If it throws, the call fails. */
  serve(name: string, handler: (r: Request) => Payload | undefined | void | Promise<Payload | undefined | void>,
    options?: ServeOptions): Promise<Service>
  call(service: string, payload?: Payload, options?: CallOptions): Promise<Message>
  /** Calls a service with a request in parts, of which `payload` is the first. */
  stream(service: string, payload?: Payload, options?: StreamOptions): Promise<Stream>

  /** Milliseconds to the control process and back. */
  ping(): Promise<number>
  /** Ends all receivers, settles, closes; what has come is still handed out. */
  drain(timeoutMs?: number): Promise<void>
  close(): Promise<void>

  on(event: 'state', listener: (state: { connected: boolean; error: MillraceError | null }) => void): this
  on(event: 'gap', listener: (gap: { missed: number; total: number }) => void): this
  /** Once for each time that the bus was away, when it is back or will not be: publishes that were dropped. */
  on(event: 'lost', listener: (lost: { lost: number; total: number }) => void): this
  on(event: 'error', listener: (error: unknown) => void): this
  on(event: 'room', listener: () => void): this
}

export class Message {
  /** Empty for replies and deliveries of queues. */
  readonly subject: string
  readonly payload: Buffer
  /** By names in lower case. */
  readonly headers: Map<string, string>
  readonly wantsReply: boolean
  /** Of a reply, or of a request in parts: others follow. */
  readonly more: boolean
  /** Nanoseconds since 1970 when the bus took it; 0n unless the subscription asked with `time`. */
  readonly timeNs: bigint
  /** The session that published it; 0n unless the subscription asked with `sender`. */
  readonly sender: bigint
  /** The name of its client; empty unless the subscription asked. */
  readonly senderName: string
  text(): string
  json(): any
  reply(payload: Payload, options?: { headers?: Headers }): void
}

declare class Receiver<T> implements AsyncIterable<T> {
  /** Messages handed out or waiting. */
  readonly count: number
  /** Messages that found the inbox full. */
  readonly missed: number
  /** Ends it; what waits is dropped. */
  close(): Promise<void>
  /** Ends it; what has come is still handed out. */
  drain(): Promise<void>
  [Symbol.asyncIterator](): AsyncIterator<T>
}

export class Subscription extends Receiver<Message> {
  readonly pattern: string
  /** Ends it after exactly so many messages, counted from its start. */
  unsubscribeAfter(messages: number): void
  unsubscribe(): Promise<void>
}
export class Consumer extends Receiver<Delivery> {
  /** Of the queue; 0: not known. */
  readonly ackTimeoutMs: number
  /** Limit of attempts of the queue; 0: none, or not known. */
  readonly maxDeliver: number
  /**
   * Up to `max` deliveries: as soon as there are so many, or those that came within `waitMs`; without it no limit. More
   * than `prefetch` unsettled ones never come. An empty array: none came. ENOENT: the consumer has ended.
   */
  nextBatch(max: number, waitMs?: number): Promise<Delivery[]>
  /** True: the deliveries that the program holds are renewed, as those that wait always are. */
  renew(on: boolean): void
  /** The delay of a nack without one, while the queue has no back-off. */
  retryDelay(delayMs: number): void
  /** Stops the deliveries until resume(); what was sent already still comes. */
  pause(): Promise<void>
  /** Ends a pause(), but not a pause by an operator. */
  resume(): Promise<void>
}
export class Service extends Receiver<Request> {}

/** Settlements return false if the delivery is not this client's any more. */
export class Delivery extends Message {
  readonly redelivered: number
  /** Earlier attempts, which count towards `maxDeliver`. */
  readonly attempts: number
  /** Priority from 0 to 9. */
  readonly level: number
  /** The bus took it back: another consumer gets it. */
  readonly recalled: boolean
  /** The number by which the bus knows it. */
  readonly number: bigint
  /** Of a producer that promised exactly once; otherwise 0. */
  readonly publisher: bigint
  readonly id: bigint
  ack(): boolean
  /** Default: to be delivered again; with `requeue` false to the dead letters. */
  nack(options?: { requeue?: boolean; delayMs?: number; error?: string }): boolean
  giveBack(): boolean
  /**
   * Pushes the outputs, and acks when their queues have accepted them: all of it or nothing, see mr_settle_and_push(3).
   * If an output is refused, the delivery comes again after `delayMs` (100), or with `reject` goes to the dead letters.
   * One that was not pushed exactly once is refused without `atLeastOnce`.
   */
  settleAndPush(outputs?: Output[], options?: { reject?: boolean; delayMs?: number; atLeastOnce?: boolean }):
    Promise<void>
  inProgress(): boolean
}

export class Request extends Message {
  /** True when the caller has given up, the time is over, or the session ended: stop working on it. */
  readonly recalled: boolean
  /** The parts behind the first; null unless `more`. Ends after the last one; throws ENOENT or ENOTCONN before. */
  readonly parts: Parts | null
  /** Partial replies that the caller takes now. */
  readonly replies: number
  /** Resolves when the caller takes a partial reply; with false when the call is not in hand any more. */
  room(): Promise<boolean>
  /**
   * Sends the final reply, or a partial one with `more`. False: the call is not in hand. Throws EAGAIN while the caller
   * takes no partial reply: await room().
   */
  respond(payload: Payload, options?: { headers?: Headers; more?: boolean }): boolean
  /** The caller gets EREMOTEIO; with `again` another worker gets the call. */
  fail(options?: { again?: boolean }): boolean
  inProgress(): boolean
}

export interface Parts extends AsyncIterable<Message> {
  /** True when the last part has come. */
  readonly complete: boolean
}

/** A call whose request has parts. Iterate over it for its replies: partial ones have `more`, the final one has not. */
export class Stream implements AsyncIterable<Message> {
  readonly service: string
  /** True while the worker takes another part at once. */
  readonly hasRoom: boolean
  /** True when no more replies come. */
  readonly ended: boolean
  /** Sends the next part, the last one with `more` false. Resolves when the worker had room for it. */
  send(payload: Payload, options?: { more?: boolean }): Promise<void>
  /** Sends the last part. */
  end(payload?: Payload): Promise<void>
  /** The final reply; skips the partial ones that are unread. */
  result(): Promise<Message>
  /** Gives the call up: no reply comes any more. */
  close(): void
  [Symbol.asyncIterator](): AsyncIterator<Message>
}

export class Queue {
  readonly name: string
  readonly unaccepted: number
  /** Resolves when the queue has it; with `bestEffort` when it was sent: a full queue loses it, and the bus counts it. */
  push(payload: Payload, options?: PushOptions & { publisher?: bigint; id?: bigint; bestEffort?: boolean }): Promise<void>
  /** A new number for a push that waits, by which cancel() finds it. */
  ticket(): number
  /** Takes back the messages with this ticket that are not due, and ends what repeats with it. ESRCH: there is none. */
  cancel(ticket: number): Promise<void>
  close(): void
}

export interface PushOptions {
  headers?: Headers
  /** A name, or a level from 0 to 9. */
  priority?: 'normal' | 'high' | 'low' | number
  /** Time to live. */
  ttlMs?: number
  /** Not delivered before this time has passed. */
  delayMs?: number
  /** Not delivered before this time, ms since 1970. Not with delayMs. */
  atMs?: number
  /** Messages of one key go to one consumer in order, in a queue with the policy 'key-shared'; 1 to 255 bytes. */
  key?: string
  /** Cancels the message while it waits: a number of Queue.ticket(). */
  ticket?: number
  /** With a ticket: the queue repeats the message each time, at least 100 ms. */
  everyMs?: number
  /** With a ticket: likewise, at the times of five fields as in crontab(5), and a zone: '0 8 * * mon-fri +0100'. */
  cron?: string
  /** Failed attempts elsewhere, of a message that is moved: they count as if they had failed here. */
  attempts?: number
}

/** A message for Delivery.settleAndPush(). */
export interface Output extends PushOptions {
  queue: Queue
  payload?: Payload
}

export class MillraceError extends Error {
  constructor(code: string, text: string)
  /** Name of an errno: "ENOTCONN". */
  readonly code: string
  /** Its negative number. */
  readonly errno: number
}
export class NoRespondersError extends MillraceError {
  constructor(text?: string)
}
