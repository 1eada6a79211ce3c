// SPDX-License-Identifier: Apache-2.0
// client: what a program wants of a session: subscribe, publish, request, reply (docs/protocol.md, "Messages" and
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
    this.serial = 0
    this.missed = 0n
    this.ended = new Promise((resolve) => { this.end = resolve })
  }

  open() {
    return this.session.open()
  }

  // ---- coming in

  message(m) {
    if (m.kind === Kind.Deliver) this.handlers.get(m.target)?.(m)
    else if (m.kind === Kind.Reply || m.kind === Kind.Status) this.answered(m)
    else if (m.kind === Kind.Gap) this.gap(m)
    else if (m.kind === Kind.Control) this.called(m)
    else this.session.ignore()
  }

  answered(m) {
    const request = m.token && this.requests.get(m.token.correlation)
    if (!request) return this.session.ignore() // another answer was first
    this.requests.delete(m.token.correlation)
    clearTimeout(request.timer)
    if (m.kind === Kind.Reply) request.resolve(m)
    else request.reject(new Failed(m.target, `status ${m.target}`))
  }

  gap(m) {
    const gap = wire.readStruct('Gap', m.payload, 0)
    if (gap) this.missed = gap.missedTotal()
  }

  called(m) {
    const call = this.calls.get(m.target)
    const table = wire.parseTable(m.payload)
    if (!call || !table) return this.session.ignore() // it was asked twice, and answered before
    this.calls.delete(m.target)
    clearInterval(call.timer)
    const code = table.name === 'Result' ? table.body.code() : 0
    if (code === 0) call.resolve(table.body)
    else call.reject(new Failed(code, table.body.text() ?? ''))
  }

  lost(why) {
    for (const { reject, timer } of [...this.calls.values(), ...this.requests.values()]) {
      clearTimeout(timer)
      reject(new Failed(why.code, why.text))
    }
    this.calls.clear()
    this.requests.clear()
    this.end(why)
  }

  // ---- going out

  // A Control request, repeated until it is answered.
  call(name, fields) {
    const correlation = ++this.serial
    const m = wire.message(Kind.Control, { target: correlation, payload: wire.table(name, fields) })
    return new Promise((resolve, reject) => {
      const timer = setInterval(() => this.session.send(m), RESEND_MS)
      this.calls.set(correlation, { resolve, reject, timer })
      this.session.send(m)
    })
  }

  // `handler` gets each delivery: {subject, headers, payload, token}.
  async subscribe(pattern, handler, { group, prefix = false } = {}) {
    const subscription = ++this.serial
    this.handlers.set(subscription, handler)
    await this.call('SubscribeRequest', { subscription, kind: prefix ? 1 : 0, pattern, group })
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

  request(to, payload, { headers = '', timeoutMs = 5000 } = {}) {
    const correlation = randomBytes(8).readBigUInt64LE() // not to be guessed
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

  close() {
    this.session.close()
  }
}

module.exports = { Client, Failed }
