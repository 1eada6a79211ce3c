// SPDX-License-Identifier: Apache-2.0
// messages: what the program gets, and the reassembly of fragments.
import { parseHeaders } from './headers.js'
import { Flag } from './wire.js'

const INCOMPLETE_MAX = 16

/** A received message. Its payload belongs to the program. */
export class Message {
  #raw
  #headers = null
  #client

  constructor(client, raw) {
    this.#client = client
    this.#raw = raw
    this.subject = raw.subject
    this.payload = raw.payload
  }

  get headers() {
    this.#headers ??= parseHeaders(this.#raw.headers)
    return this.#headers
  }

  get wantsReply() {
    return this.#raw.token !== null
  }

  /** Of a reply, or of a request in parts: others follow. */
  get more() {
    return (this.#raw.flags & Flag.More) !== 0
  }

  /** Nanoseconds since 1970 when the bus took it; 0n unless the subscription asked. */
  get timeNs() {
    return this.#raw.stamp?.timeNs ?? 0n
  }

  /** The session that published it; 0n unless the subscription asked. */
  get sender() {
    return this.#raw.stamp?.sender ?? 0n
  }

  /** The name of its client; empty unless the subscription asked. */
  get senderName() {
    return this.#raw.stamp?.name ?? ''
  }

  text() {
    return this.payload.toString('utf8')
  }

  json() {
    return JSON.parse(this.text())
  }

  reply(payload, options) {
    this.#client.sendReply(this.#raw.token, payload, options)
  }
}

/** Joins fragments, which come in order; forgets what cannot become complete. Bounded. */
export class Reassembly {
  constructor(ignored) {
    this.parts = new Map()
    this.ignored = ignored
  }

  /** Returns the whole message with its last fragment, otherwise null. */
  take(m, bytesMax) {
    const { session, message, total, offset } = m.fragment
    const key = `${session} ${message} ${m.kind} ${m.target}`
    const whole = offset === 0 ? { first: m, payloads: [], bytes: 0 } : this.parts.get(key)
    this.parts.delete(key)
    if (!whole || offset !== whole.bytes || total > bytesMax || total !== whole.first.fragment.total) {
      return this.ignored()
    }
    whole.payloads.push(m.payload)
    whole.bytes += m.headers.length + m.payload.length
    if (whole.bytes > total) return this.ignored()
    if (whole.bytes === total) {
      return { ...whole.first, fragment: null, delivery: m.delivery, payload: Buffer.concat(whole.payloads) }
    }
    if (this.parts.size >= INCOMPLETE_MAX) {
      this.parts.delete(this.parts.keys().next().value) // the oldest
      this.ignored()
    }
    this.parts.set(key, whole)
    return null
  }
}

/** A queue between the session and `for await`. */
export class Inbox {
  constructor(max) {
    this.max = max
    this.items = []
    this.waiting = []
    this.ended = false
    this.error = null
  }

  /** False: full. */
  put(item, release = null) {
    const waiter = this.waiting.shift()
    if (waiter) {
      release?.()
      waiter.resolve({ value: item, done: false })
      return true
    }
    if (this.items.length >= this.max && !release) return false
    this.items.push({ item, release })
    return true
  }

  /** No more come; those that are here are still handed out. */
  end(error = null) {
    this.ended = true
    this.error = error
    for (const waiter of this.waiting.splice(0)) {
      if (error) waiter.reject(error)
      else waiter.resolve({ value: undefined, done: true })
    }
  }

  /** As next(), but null when nothing came within the time. */
  within(ms) {
    if (this.items.length > 0 || this.ended || ms === Infinity) return this.next()
    return new Promise((resolve, reject) => {
      const waiter = {
        resolve: (next) => (clearTimeout(timer), resolve(next)),
        reject: (error) => (clearTimeout(timer), reject(error))
      }
      const timer = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(waiter), 1)
        resolve(null)
      }, ms)
      this.waiting.push(waiter)
    })
  }

  /** Drops an item that waits. */
  remove(item) {
    const at = this.items.findIndex((waits) => waits.item === item)
    if (at >= 0) this.items.splice(at, 1)[0].release?.()
  }

  next() {
    const first = this.items.shift()
    if (first) {
      first.release?.()
      return Promise.resolve({ value: first.item, done: false })
    }
    if (this.error) return Promise.reject(this.error)
    if (this.ended) return Promise.resolve({ value: undefined, done: true })
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }))
  }
}
