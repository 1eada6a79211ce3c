// SPDX-License-Identifier: Apache-2.0
// client: the calls of a program on a session: subscribe, publish, request, reply (docs/protocol.md, "Messages" and
// "Control messages"). Waiting calls are promises; they fail when the session ends.
'use strict'

const { randomBytes } = require('crypto')
const { Session } = require('./session.js')
const wire = require('./wire.js')

const { Kind } = wire
const RESEND_MS = 1000

class Failed extends Error {
  constructor(code, text) {
    super(text)
    this.code = code
  }
}

class Client {
  constructor(options) {
    this.session = new Session(options)
    this.session.on('message', (m) => this.message(m))
    this.session.on('end', (why) => this.lost(why))
    this.handlers = new Map() // subscription: function
    this.calls = new Map() // correlation of a Control request: {resolve, reject, timer}
    this.requests = new Map() // correlation of a request: the same
    this.pushes = new Map() // "publisher id": {resolve, reject}
    this.pieces = new Map() // fragments of incomplete messages
    this.fragments = 0
    this.serial = 0
    this.missed = 0n
    this.ended = new Promise((resolve) => { this.end = resolve })
  }

  open() {
    return this.session.open()
  }

  // ---- coming in

  message(m) {
    if (m.fragment && !(m = this.assemble(m))) return
    if (m.kind === Kind.Deliver) this.handlers.get(m.target)?.(m)
    else if (m.kind === Kind.Accepted) this.accepted(m)
    else if (m.kind === Kind.Reply || m.kind === Kind.Status) this.answered(m)
    else if (m.kind === Kind.Gap) this.gap(m)
    else if (m.kind === Kind.Control) this.called(m)
    else this.session.ignore()
  }

  answered(m) {
    const request = m.token && this.requests.get(m.token.correlation)
    if (!request) return this.session.ignore() // another answer was first
    if (m.kind === Kind.Reply && m.flags & wire.Flag.More) return request.partial?.(m)
    this.requests.delete(m.token.correlation)
    clearTimeout(request.timer)
    if (m.kind === Kind.Reply) request.resolve(m)
    else request.reject(new Failed(m.target, `status ${m.target}`))
  }

  // Returns the whole message if this was its last fragment. Fragments of one sender arrive in order.
  assemble(m) {
    const key = `${m.fragment.session()} ${m.fragment.message()} ${m.kind} ${m.target}`
    const total = m.fragment.totalBytes()
    const known = this.pieces.get(key) ?? { parts: [], bytes: 0, headers: m.headers }
    if (m.fragment.offset() !== known.bytes || total > this.session.messageBytesMax) {
      this.pieces.delete(key)
      this.session.ignore()
      return null
    }
    known.parts.push(Buffer.from(m.payload))
    known.bytes += Buffer.byteLength(m.headers) + m.payload.length
    this.pieces.set(key, known)
    if (known.bytes < total) return null
    this.pieces.delete(key)
    return { ...m, headers: known.headers, payload: Buffer.concat(known.parts) }
  }

  accepted(m) {
    for (let at = 0, range; (range = wire.readStruct('AcceptedRange', m.payload, at)); at += 24) {
      for (let id = range.first(), left = range.count(); left > 0; id++, left--) {
        const push = this.pushes.get(`${range.publisher()} ${id}`)
        if (!push) continue
        this.pushes.delete(`${range.publisher()} ${id}`)
        if (range.status() === 0) push.resolve()
        else push.reject(new Failed(range.status(), `status ${range.status()}`))
      }
    }
  }

  gap(m) {
    const gap = wire.readStruct('Gap', m.payload, 0)
    if (gap) this.missed = gap.missedTotal()
  }

  called(m) {
    const call = this.calls.get(m.target)
    const table = wire.parseTable(m.payload)
    if (!call || !table) return this.session.ignore() // repeated, and answered before
    this.calls.delete(m.target)
    clearInterval(call.timer)
    const code = table.name === 'Result' ? table.body.code() : 0
    if (code === 0) call.resolve(table.body)
    else call.reject(new Failed(code, table.body.text() ?? ''))
  }

  lost(why) {
    for (const { reject, timer } of [...this.calls.values(), ...this.requests.values(), ...this.pushes.values()]) {
      clearTimeout(timer)
      reject(new Failed(why.code, why.text))
    }
    this.calls.clear()
    this.requests.clear()
    this.pushes.clear()
    this.end(why)
  }

  // ---- going out

  // Sends a Control request and repeats it until it is answered.
  call(name, fields) {
    const correlation = ++this.serial
    const m = wire.message(Kind.Control, { target: correlation, payload: wire.table(name, fields) })
    return new Promise((resolve, reject) => {
      const timer = setInterval(() => this.session.promise(m), RESEND_MS)
      this.calls.set(correlation, { resolve, reject, timer })
      this.session.promise(m)
    })
  }

  // `handler` gets each delivery: {subject, headers, payload, token}.
  async subscribe(pattern, handler, { group, prefix = false, block = false } = {}) {
    const subscription = ++this.serial
    this.handlers.set(subscription, handler)
    await this.call('SubscribeRequest', { subscription, kind: prefix ? 1 : 0, pattern, group, whenFull: block ? 1 : 0 })
    return subscription
  }

  async unsubscribe(subscription) {
    await this.call('UnsubscribeRequest', { subscription })
    this.handlers.delete(subscription)
  }

  async alias(subject) {
    return (await this.call('AliasRequest', { subject })).alias()
  }

  release(alias) {
    return this.call('AliasRelease', { alias })
  }

  ping() {
    return this.call('Ping', { sentNs: process.hrtime.bigint() })
  }

  // `to`: a subject, or the number of an alias.
  publish(to, payload, { headers = '', token = null } = {}) {
    const where = typeof to === 'number' ? { target: to } : { subject: to }
    this.session.send(wire.message(Kind.Publish, { ...where, headers, payload, token }))
  }

  // Promises at least once. Fragmented, if one frame does not hold it.
  promise(to, payload, { headers = '' } = {}) {
    const where = typeof to === 'number' ? { target: to } : { subject: to }
    this.pieced(Kind.Publish, { ...where, headers, payload, flags: wire.Flag.High })
  }

  pieced(kind, parts) {
    const payload = Buffer.from(parts.payload)
    const total = Buffer.byteLength(parts.headers) + payload.length
    const room = (this.session.frameBytes - 24 - 8 - 56 - 4 - 256) & ~7
    if (total <= room) return this.session.promise(wire.message(kind, { ...parts, payload }))
    const number = ++this.fragments
    for (let at = 0; at < payload.length; at += room) {
      const fragment = { session: this.session.id, message: number, total, offset: at }
      this.session.promise(wire.message(kind, { ...parts, headers: '', payload: payload.subarray(at, at + room), fragment }))
    }
  }

  // ---- queues and services

  async queue(name, kind = 0) {
    return (await this.call('QueueRequest', { name, kind })).queue()
  }

  // Resolves when the queue has it.
  push(queue, payload, { headers = '', publisher = 0n, id = BigInt(++this.serial), flags = 0 } = {}) {
    return new Promise((resolve, reject) => {
      this.pushes.set(`${publisher} ${id}`, { resolve, reject })
      this.pieced(Kind.Push, { target: queue, headers, payload, flags, origin: { publisher, id } })
    })
  }

  // `handler` gets each delivery, and settles it; `kind` 1: requests of a service.
  async consume(name, handler, { prefetch = 0, kind = 0 } = {}) {
    const subscription = ++this.serial
    this.handlers.set(subscription, handler)
    return (await this.call('ConsumeRequest', { subscription, name, kind, prefetch })).queue()
  }

  settle(delivery, verb = wire.SettleVerb.Ack, delayMs = 0) {
    const payload = wire.struct('Settlement', delivery.delivery.tag(), delayMs, verb, 0, 0)
    this.session.promise(wire.message(Kind.Settle, { target: delivery.delivery.queue(), payload }))
  }

  respond(delivery, payload, { more = false } = {}) {
    const token = { session: delivery.delivery.tag(), correlation: delivery.token.correlation }
    this.session.promise(wire.message(Kind.Reply, {
      target: delivery.delivery.queue(), token, payload, flags: more ? wire.Flag.More : 0
    }))
  }

  // A call of a service by its number.
  callService(service, payload, { timeoutMs = 5000, partial } = {}) {
    const correlation = randomBytes(8).readBigUInt64LE()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.requests.delete(correlation)
        reject(new Failed(-110, 'no answer'))
      }, timeoutMs)
      this.requests.set(correlation, { resolve, reject, timer, partial })
      this.session.promise(wire.message(Kind.Push, { target: service, payload, token: { session: 0n, correlation } }))
    })
  }

  request(to, payload, { headers = '', timeoutMs = 5000 } = {}) {
    const correlation = randomBytes(8).readBigUInt64LE() // cannot be guessed
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.requests.delete(correlation)
        reject(new Failed(-110, 'no answer'))
      }, timeoutMs)
      this.requests.set(correlation, { resolve, reject, timer })
      this.publish(to, payload, { headers, token: { session: 0n, correlation } })
    })
  }

  // Answers a delivery.
  reply(delivery, payload, { headers = '' } = {}) {
    this.session.send(wire.message(Kind.Reply, { token: delivery.token, headers, payload }))
  }

  // Resolves when the bus has acknowledged all promises.
  async leave() {
    await this.session.drain()
    this.session.close()
  }

  close() {
    this.session.close()
  }
}

module.exports = { Client, Failed }
