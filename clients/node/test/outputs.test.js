// SPDX-License-Identifier: Apache-2.0
// Options of pushes; an input and its outputs in one step.

import { test as nodeTest } from 'node:test'
import assert from 'node:assert'
import { connect } from '../src/index.js'
import { FakeBus } from './fake_bus.js'
import { outputPublisher } from '../src/outputs.js'
import * as wire from '../src/wire.js'

const test = (name, run) => nodeTest(name, { timeout: 30000 }, run)
const { Kind, SettleVerb } = wire
const NUMBER = 0x1234567890abcdefn

async function joined(t) {
  const bus = new FakeBus({ credit: 64 })
  const { host, port } = await bus.listen()
  const client = await connect(`udp://${host}:${port}`, { name: 'tester' })
  t.after(async () => {
    await client.close({ timeoutMs: 100 }).catch(() => {})
    bus.close()
  })
  return { bus, client }
}

function accepted(publisher, first, status) {
  const payload = Buffer.alloc(24)
  payload.writeBigUInt64LE(publisher, 0)
  payload.writeBigUInt64LE(first, 8)
  payload.writeUInt32LE(1, 16)
  payload.writeUInt32LE(status, 20)
  return wire.message(Kind.Accepted, { target: 5, payload })
}

// Delivers an input, and resolves with the Delivery.
async function input(bus, consumer, tag, origin = { publisher: NUMBER, id: 9n }) {
  bus.send([wire.message(Kind.Deliver, { target: consumer.number, origin, delivery: { tag, queue: 5 }, payload: 'in' })])
  return (await consumer[Symbol.asyncIterator]().next()).value
}

const settlements = (bus) => bus.got.filter((m) => m.kind === Kind.Settle)
  .map(({ payload }) => [payload.readBigUInt64LE(0), payload.readUInt8(12), payload.readUInt32LE(8)])

test('options of a push stand before its headers', async (t) => {
  const { bus, client } = await joined(t)
  const queue = await client.queue('jobs')
  queue.push('later', { delayMs: 5000, ttlMs: 60000, priority: 7, headers: { a: 'b' } })
  const m = await bus.message(Kind.PushOptions)
  const block = Buffer.from(m.headers)
  assert.deepStrictEqual([block.readBigUInt64LE(0), block.readBigUInt64LE(8), block.readUInt32LE(16),
    block.readUInt32LE(20), block.readUInt8(24)], [0n, 0n, 5000, 60000, 8])
  assert.strictEqual(String(block.subarray(32)), 'NATS/1.0\r\na: b\r\n\r\n')
  assert.strictEqual(String(m.payload), 'later')
  bus.send([accepted(0n, m.origin.id, 0)])
  await client.settle()
  assert.throws(() => queue.push('x', { delayMs: 1, atMs: 1 }), { code: 'EINVAL' })
  assert.throws(() => queue.push('x', { priority: 10 }), { code: 'EINVAL' })
})

test('a nack may say why', async (t) => {
  const { bus, client } = await joined(t)
  const consumer = await client.consume('jobs')
  const delivery = await input(bus, consumer, 1n)
  assert.strictEqual(delivery.nack({ error: 'no\r\nhost' }), true)
  const m = await bus.message(Kind.Settle)
  assert.strictEqual(String(m.headers), 'NATS/1.0\r\nMillrace-Error: no  host\r\n\r\n')
})

test('key, ticket and repetition of a push stand in its options', async (t) => {
  const { bus, client } = await joined(t)
  const queue = await client.queue('jobs')
  queue.push('next', { key: 'a', everyMs: 250, ticket: 0x123456789abc, headers: { b: 'c' } })
  const block = Buffer.from((await bus.message(Kind.PushOptions)).headers)
  assert.deepStrictEqual([block.readBigUInt64LE(0), block.readUInt32LE(16), block.readUInt8(25), block.readUInt16LE(26),
    block.readUInt32LE(28)], [0xaf63dc4c8601ec8cn, 250, 1, 0x1234, 0x56789abc])
  assert.strictEqual(String(block.subarray(32)), 'NATS/1.0\r\nMillrace-Key: a\r\nb: c\r\n\r\n')
  assert.ok(queue.ticket() > 0 && queue.ticket() !== queue.ticket())
  for (const wrong of [{ key: '' }, { key: 'a\n' }, { key: 'a'.repeat(256) }, { ticket: 1 }, { everyMs: 250 },
    { everyMs: 99, ticket: 1 }, { cron: '* * * * *', delayMs: 1, ticket: 1 }, { delayMs: 1, ticket: 2 ** 48 }]) {
    assert.throws(() => queue.push('x', wrong), { code: 'EINVAL' })
  }
  queue.cancel(7).catch(() => {})
  const request = await bus.until(() => bus.got.find((m) => m.kind === Kind.Control && String(m.payload).includes('jobs') &&
    m.payload.includes(Buffer.from([7, 0, 0, 0, 0, 0, 0, 0]))))
  assert.ok(request)
})

test('an older bus gets no options', async (t) => {
  const { bus, client } = await joined(t)
  const queue = await client.queue('jobs')
  queue.pushOptions = 0
  assert.throws(() => queue.push('x', { ttlMs: 1 }), { code: 'EOPNOTSUPP' })
  assert.strictEqual(bus.got.some((m) => m.kind === Kind.PushOptions), false)
})

test('the input is acked when all outputs are accepted, each under a number of its own', async (t) => {
  const { bus, client } = await joined(t)
  const queue = await client.queue('out')
  const consumer = await client.consume('in')
  const delivery = await input(bus, consumer, 70n)
  const done = delivery.settleAndPush([{ queue, payload: 'a' }, { queue, payload: 'b' }])
  assert.strictEqual(delivery.ack(), false)
  await assert.rejects(delivery.settleAndPush([]), { code: 'ENOENT' })
  await bus.message(Kind.Push, 1)
  const pushed = bus.got.filter((m) => m.kind === Kind.Push)
  const publishers = [0, 1].map((place) => outputPublisher(NUMBER, 'in', place))
  assert.deepStrictEqual(pushed.map((m) => m.origin.publisher), publishers)
  assert.deepStrictEqual(pushed.map((m) => m.origin.id), [9n, 9n])
  bus.send([accepted(publishers[0], 9n, 0)])
  await client.ping()
  assert.deepStrictEqual(settlements(bus), [])
  bus.send([accepted(publishers[1], 9n, 0)])
  await done
  await bus.message(Kind.Settle)
  assert.deepStrictEqual(settlements(bus), [[70n, SettleVerb.Ack, 0]])
})

test('a refused output gives the input back, or rejects it', async (t) => {
  const { bus, client } = await joined(t)
  const queue = await client.queue('out')
  const consumer = await client.consume('in')
  for (const [i, reject] of [false, true].entries()) {
    const delivery = await input(bus, consumer, BigInt(80 + i), { publisher: NUMBER, id: BigInt(i + 1) })
    const done = delivery.settleAndPush([{ queue, payload: 'a' }], { reject, delayMs: 7 })
    await bus.message(Kind.Push, i)
    bus.send([accepted(outputPublisher(NUMBER, 'in', 0), BigInt(i + 1), 410)])
    await assert.rejects(done, { code: 'ESTALE' })
    await bus.message(Kind.Settle, i)
  }
  assert.deepStrictEqual(settlements(bus), [[80n, SettleVerb.Requeue, 7], [81n, SettleVerb.Reject, 0]])
  await client.settle()
})

test('an output under way is not pushed again by the next delivery of its input', async (t) => {
  const { bus, client } = await joined(t)
  const queue = await client.queue('out')
  const consumer = await client.consume('in')
  const first = (await input(bus, consumer, 1n)).settleAndPush([{ queue, payload: 'a' }])
  const second = (await input(bus, consumer, 2n)).settleAndPush([{ queue, payload: 'a' }])
  await bus.message(Kind.Push)
  bus.send([accepted(outputPublisher(NUMBER, 'in', 0), 9n, 0)])
  await Promise.all([first, second])
  assert.strictEqual(bus.got.filter((m) => m.kind === Kind.Push).length, 1)
})

test('nothing is pushed of an input without number, or when an output is malformed', async (t) => {
  const { bus, client } = await joined(t)
  const queue = await client.queue('out')
  const consumer = await client.consume('in')
  const plain = await input(bus, consumer, 1n, null)
  await assert.rejects(plain.settleAndPush([{ queue, payload: 'a' }]), { code: 'EINVAL' })
  const numbered = await input(bus, consumer, 2n)
  await assert.rejects(numbered.settleAndPush([{ queue, payload: 'a' }, { queue, payload: 5 }]), { code: 'EINVAL' })
  await client.ping()
  assert.strictEqual(bus.got.some((m) => m.kind === Kind.Push), false)
  const done = plain.settleAndPush([{ queue, payload: 'a' }], { atLeastOnce: true })
  const { origin } = await bus.message(Kind.Push)
  assert.strictEqual(origin.publisher, 0n)
  bus.send([accepted(0n, origin.id, 0)])
  await done
})

test('numbers of outputs are those of docs/protocol.md', () => {
  assert.notStrictEqual(outputPublisher(1n, 'a', 0), outputPublisher(1n, 'a', 1))
  assert.strictEqual(outputPublisher(1n, 'a.dead', 0), outputPublisher(1n, 'a', 0))
  assert.strictEqual(outputPublisher(NUMBER, 'in', 3), 0xa2cf746d19a3567n)
})
