// SPDX-License-Identifier: Apache-2.0
// The client over several sessions, with full buffers, queues and services, against a fake bus.

import { test as nodeTest } from 'node:test'
import assert from 'node:assert'
import { once } from 'node:events'
import { connect } from '../src/index.js'
import { FakeBus, SESSION } from './fake_bus.js'
import { parseTable, table } from '../src/tables.js'
import * as wire from '../src/wire.js'

const test = (name, run) => nodeTest(name, { timeout: 30000 }, run)
const { Kind } = wire

async function joined(t, { bus: how, ...options } = {}) {
  const bus = new FakeBus(how)
  const { host, port } = await bus.listen()
  const address = `udp://${host}:${port}`
  const client = await connect(options.servers?.(address) ?? address, { name: 'tester', ...options })
  t.after(async () => {
    await client.close()
    bus.close()
  })
  return { bus, client }
}

const requests = (bus, name) =>
  bus.got.filter((m) => m.kind === Kind.Control).map((m) => parseTable(m.payload)).filter((r) => r.name === name)
const closeFrame = (code) => wire.message(Kind.Close, { payload: table('Result', { code, text: 'over' }) })
const accepted = (first, count, status, queue = 5) => {
  const payload = Buffer.alloc(24)
  payload.writeBigUInt64LE(first, 8)
  payload.writeUInt32LE(count, 16)
  payload.writeUInt32LE(status, 20)
  return wire.message(Kind.Accepted, { target: queue, payload })
}

test('takes the next address when one does not answer', async (t) => {
  const { client } = await joined(t, { servers: (address) => ['udp://127.0.0.1:9', address], connectTimeoutMs: 600 })
  assert.strictEqual(client.connected, true)
  assert.strictEqual(client.server, 1)
})

test('makes its subscriptions anew in the next session, and sends again what was not accepted', async (t) => {
  const { bus, client } = await joined(t, { bus: { credit: 64 } })
  const subscription = await client.subscribe('a.*', { group: 'g' })
  const queue = await client.queue('jobs')
  const push = queue.push('a job')
  await bus.message(Kind.Push)
  const states = []
  client.on('state', (state) => states.push([state.connected, state.error?.code]))
  bus.got = []
  bus.send([closeFrame(-108)], { sequence: 0 })
  await once(client, 'state')
  assert.throws(() => client.publish('a.b', 'x'), { code: 'ENOTCONN' })
  await once(client, 'state')
  assert.deepStrictEqual(states, [[false, 'ESHUTDOWN'], [true, undefined]])
  assert.deepStrictEqual(requests(bus, 'SubscribeRequest').map(({ body }) => [body.pattern, body.group]), [['a.*', 'g']])
  const again = await bus.message(Kind.Push)
  assert.deepStrictEqual([String(again.payload), again.origin.id], ['a job', 1n])
  bus.send([accepted(1n, 1, 0)])
  await push
  const m = { target: subscription.number, subject: 'a.b', payload: 'still here' }
  bus.send([wire.message(Kind.Deliver, m)])
  for await (const m of subscription) {
    assert.strictEqual(m.text(), 'still here')
    break
  }
})

test('a session that is lost while it is restored is no news', async (t) => {
  const { bus, client } = await joined(t, { bus: { credit: 64 } })
  await client.subscribe('a.*', () => {})
  const states = []
  client.on('state', ({ connected }) => states.push(connected))
  Object.assign(bus, { got: [], silent: true })
  bus.send([closeFrame(-108)], { sequence: 0 })
  await bus.until(() => requests(bus, 'SubscribeRequest').length === 1)
  bus.silent = false
  bus.send([closeFrame(-108)], { sequence: 0 })
  await bus.until(() => requests(bus, 'SubscribeRequest').length === 2)
  await client.ping()
  assert.deepStrictEqual(states, [false, true])
  assert.strictEqual(client.reconnecting, false)
})

test('keeps to the window of a queue, pushes again what found it full, and reports a refusal', async (t) => {
  const { bus, client } = await joined(t, { bus: { credit: 64 } })
  const queue = await client.queue('jobs')
  const outcomes = []
  for (let i = 1; i <= 6; i++) {
    queue.push(`job ${i}`).then(() => outcomes.push(i), (error) => outcomes.push(`${i} ${error.code}`))
  }
  await bus.message(Kind.Push, 3)
  assert.strictEqual(queue.unaccepted, 6)
  bus.send([accepted(1n, 2, 0)])
  await bus.message(Kind.Push, 5)
  assert.deepStrictEqual(outcomes, [1, 2])
  bus.send([accepted(3n, 1, 429)]) // the queue waits: it is pushed again
  const again = await bus.message(Kind.Push, 6)
  assert.strictEqual(String(again.payload), 'job 3')
  bus.send([accepted(3n, 3, 0), accepted(6n, 1, 410)])
  await assert.rejects(client.settle(), { code: 'ESTALE' })
  await client.settle() // told once
  assert.deepStrictEqual(outcomes, [1, 2, 3, 4, 5, '6 ESTALE'])
})

test('an acceptance of what nobody pushed changes nothing', async (t) => {
  const { bus, client } = await joined(t, { bus: { credit: 64 } })
  const queue = await client.queue('jobs')
  queue.push('a job')
  await bus.message(Kind.Push)
  bus.send([accepted(1n, 1, 0, 77), accepted(2n, 0xffffffff, 0), wire.message(Kind.Accepted, { target: 5, payload: 'x' })])
  await client.ping()
  assert.strictEqual(queue.unaccepted, 1)
})

test('a full buffer refuses, and room() waits for half of it', async (t) => {
  const { bus, client } = await joined(t, { bus: { credit: 8 }, bufferBytesMax: 16384 })
  bus.silent = true
  bus.lose(Infinity) // nothing is acknowledged
  let promised = 0
  assert.throws(() => {
    for (;;) client.promise('a.b', Buffer.alloc(1000)) && promised++
  }, { code: 'EAGAIN' })
  assert.ok(promised > 8 && promised <= 16, `${promised} promised`)
  assert.strictEqual(client.hasRoom, false)
  const room = client.room()
  bus.lose(0)
  await room
  await client.settle()
  assert.strictEqual(client.outboxBytes, 0)
})

test('a burst of publishes is bounded', async (t) => {
  const { client } = await joined(t, { bufferBytesMax: 16384 })
  let more = true
  assert.throws(() => {
    for (let i = 0; i < 100; i++) more = client.publish('a.b', Buffer.alloc(1000)) && more
  }, { code: 'EAGAIN' })
  assert.strictEqual(more, false, 'it had said so before')
  await client.room()
  client.publish('a.b', 'x')
})

test('an inbox that is full misses messages, and says so', async (t) => {
  const { bus, client } = await joined(t)
  const gaps = []
  client.on('gap', ({ missed }) => gaps.push(missed))
  const subscription = await client.subscribe('a', { inboxMax: 2 })
  const m = (payload) => wire.message(Kind.Deliver, { target: subscription.number, subject: 'a', payload })
  bus.send([m('1'), m('2'), m('3')])
  bus.send([wire.message(Kind.Gap, { payload: wire.pair(5n, 5n) })])
  await bus.until(() => gaps.length === 2 || (client.publish('tick', ''), false))
  assert.deepStrictEqual(gaps, [1, 5])
  assert.deepStrictEqual([subscription.missed, client.missed], [1, 6n])
  await subscription.drain()
  const came = []
  for await (const each of subscription) came.push(each.text())
  assert.deepStrictEqual(came, ['1', '2'])
})

test('a consumer has tag, rate and bytes, may be exclusive and may pause', async (t) => {
  const { bus, client } = await joined(t, { bus: { credit: 64 } })
  const consumer = await client.consume('jobs', { tag: 'mailer', rate: 2.5, prefetchBytes: 4096, exclusive: true })
  await consumer.pause()
  await consumer.resume()
  const asked = requests(bus, 'ConsumeRequest').map(({ body }) => body)
  assert.deepStrictEqual(asked.map(({ tag, rate, prefetchBytes }) => [tag, rate, prefetchBytes]),
    [['mailer', 2500, 4096], ['mailer', 2500, 4096], ['mailer', 2500, 4096]])
  assert.deepStrictEqual(asked.map(({ options, paused }) => [options.singleActive, Boolean(paused)]),
    [[2, false], [2, true], [2, false]])
  bus.older = true
  await assert.rejects(client.consume('more', { rate: 1 }), { code: 'EOPNOTSUPP' })
  const plain = await client.consume('most', { tag: 'shown only' })
  await assert.rejects(plain.pause(), { code: 'EOPNOTSUPP' })
})

test('settles deliveries, each once, and none of an earlier session', async (t) => {
  const { bus, client } = await joined(t, { bus: { credit: 64 } })
  const consumer = await client.consume('jobs')
  const delivery = (tag) =>
    wire.message(Kind.Deliver, { target: consumer.number, delivery: { tag, queue: 5, redelivered: 2, spared: 1 }, payload: 'x' })
  bus.send([delivery(11n), delivery(12n), delivery(13n)])
  const jobs = consumer[Symbol.asyncIterator]()
  const [first, second, third] = [await jobs.next(), await jobs.next(), await jobs.next()].map(({ value }) => value)
  assert.deepStrictEqual([first.redelivered, first.attempts], [2, 1])
  assert.deepStrictEqual([first.inProgress(), first.ack(), first.ack()], [true, true, false])
  assert.strictEqual(second.nack({ delayMs: 70 }), true)
  await bus.message(Kind.Settle, 2)
  const told = bus.got.filter((m) => m.kind === Kind.Settle)
    .map(({ payload }) => [payload.readBigUInt64LE(0), payload.readUInt32LE(8), payload.readUInt8(12)])
  assert.deepStrictEqual(told, [[11n, 0, 4], [11n, 0, 0], [12n, 70, 1]])
  bus.send([closeFrame(-107)], { sequence: 0 })
  await once(client, 'state')
  assert.strictEqual(third.ack(), false)
})

test('serves calls: the result is the reply, an error fails the call', async (t) => {
  const { bus, client } = await joined(t, { bus: { credit: 64 } })
  const errors = []
  client.on('error', (error) => errors.push(error.message))
  const service = await client.serve('capitals', async (request) => {
    if (request.text() === 'bad') throw new Error('cannot')
    return request.text().toUpperCase()
  })
  const call = (tag, payload) => wire.message(Kind.Deliver, { target: service.number, token: { session: tag, correlation: 3n },
    delivery: { tag, queue: 5 }, payload })
  bus.send([call(1n, 'hello'), call(2n, 'bad')])
  const reply = await bus.message(Kind.Reply)
  assert.deepStrictEqual([String(reply.payload), reply.target, reply.token], ['HELLO', 5, { session: 1n, correlation: 3n }])
  const failed = await bus.message(Kind.Settle)
  assert.deepStrictEqual([failed.payload.readBigUInt64LE(0), failed.payload.readUInt8(12)], [2n, 2])
  assert.deepStrictEqual(errors, ['cannot'])
})

test('calls: says its deadline, hands out partial replies, and is told of a lost worker', async (t) => {
  const { bus, client } = await joined(t, { bus: { credit: 64 } })
  const parts = []
  const answer = client.call('capitals', 'hello', { timeoutMs: 5000, wait: true, onPartial: (m) => parts.push(m.text()) })
  const { token, target } = await bus.message(Kind.Push)
  assert.deepStrictEqual([target, token.session], [5, 5000n | 1n << 32n])
  const reply = (payload, flags) => wire.message(Kind.Reply, { token: { session: SESSION, correlation: token.correlation },
    delivery: { tag: 9n, queue: 5 }, payload, flags })
  bus.send([reply('HEL', wire.Flag.More), reply('HELLO', 0)])
  assert.strictEqual((await answer).text(), 'HELLO')
  assert.deepStrictEqual(parts, ['HEL'])
  const lost = client.call('capitals', 'again')
  const { token: second } = await bus.message(Kind.Push, 1)
  bus.send([wire.message(Kind.Status, { target: 502, token: { session: 0n, correlation: second.correlation } })])
  await assert.rejects(lost, { code: 'EREMOTEIO' })
})

test('a call without an answer is tried again, and then fails', async (t) => {
  const { bus, client } = await joined(t, { bus: { credit: 64 } })
  await assert.rejects(client.call('capitals', 'x', { timeoutMs: 30, retries: 1, backoffMs: 1 }), { code: 'ETIMEDOUT' })
  assert.strictEqual(bus.got.filter((m) => m.kind === Kind.Push).length, 2)
  assert.strictEqual(client.requests.size, 0)
})

test('messages have the stamps that their subscription asked for', async (t) => {
  const { bus, client } = await joined(t)
  const all = await client.subscribe('a', { time: true, sender: true })
  const [{ body }] = requests(bus, 'SubscribeRequest')
  assert.deepStrictEqual([body.time, body.sender], [1, 1])
  const name = 'teller'
  const stamp = Buffer.concat([wire.pair(123n, 77n), Buffer.from(name)])
  const raw = (stampBytes) => {
    const m = wire.message(Kind.Deliver, { target: all.number, subject: 'a', payload: '' })
    const bytes = Buffer.concat([m.subarray(0, 12), stamp, Buffer.from('a'), Buffer.from('text')])
    bytes.writeUInt16LE(bytes.length, 0)
    bytes.writeUInt8(stampBytes, 9)
    return Buffer.concat([bytes], wire.padded(bytes.length))
  }
  bus.send([raw(stamp.length)])
  const it = all[Symbol.asyncIterator]()
  const { value: m } = await it.next()
  assert.deepStrictEqual([m.subject, m.text(), m.timeNs, m.sender, m.senderName], ['a', 'text', 123n, 77n, name])
  const { faults } = client.session.stats
  bus.send([raw(15), raw(80), raw(255)])
  await client.ping()
  assert.strictEqual(client.session.stats.faults, faults + 3)
  bus.send([wire.message(Kind.Deliver, { target: all.number, subject: 'a', payload: 'plain' })])
  const { value: plain } = await it.next()
  assert.deepStrictEqual([plain.timeNs, plain.sender, plain.senderName], [0n, 0n, ''])
})

test('gathers the replies of several responders', async (t) => {
  const { bus, client } = await joined(t)
  const gather = async (options, replies) => {
    bus.got = []
    const gathered = client.requestMany('a', 'x', options)
    const { token } = await bus.message(Kind.Publish)
    for (const payload of replies) bus.send([wire.message(Kind.Reply, { token, payload })])
    return (await gathered).map((m) => m.text())
  }
  assert.deepStrictEqual(await gather({ repliesMax: 2, timeoutMs: 20000 }, ['1', '2', '3']), ['1', '2'])
  assert.deepStrictEqual(await gather({ stallMs: 50, timeoutMs: 20000 }, ['1', '2', '3']), ['1', '2', '3'])
  assert.deepStrictEqual(await gather({ timeoutMs: 100 }, ['1']), ['1'])
  await assert.rejects(gather({ timeoutMs: 20 }, []), { code: 'ETIMEDOUT' })
  assert.strictEqual(client.requests.size, 0)
})
