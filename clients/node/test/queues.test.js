// SPDX-License-Identifier: Apache-2.0
// Options of queues and consumers: what is asked of the bus, batches, renewal, recalls.

import { test as nodeTest } from 'node:test'
import assert from 'node:assert'
import { connect } from '../src/index.js'
import { FakeBus } from './fake_bus.js'
import { parseTable } from '../src/tables.js'
import * as wire from '../src/wire.js'

const test = (name, run) => nodeTest(name, { timeout: 30000 }, run)
const { Kind, SettleVerb } = wire

async function joined(t) {
  const bus = new FakeBus({ credit: 64 })
  const { host, port } = await bus.listen()
  const client = await connect(`udp://${host}:${port}`, { name: 'tester' })
  t.after(async () => {
    await client.close().catch(() => {})
    bus.close()
  })
  return { bus, client }
}

const requests = (bus, name) => bus.got.filter((m) => m.kind === Kind.Control).map((m) => parseTable(m.payload))
  .filter((request) => request?.name === name).map((request) => request.body)
const deliver = (bus, consumer, ...tags) => bus.send(tags.map((tag) => wire.message(Kind.Deliver, { target: consumer.number,
  delivery: { tag, queue: 5, redelivered: 2, spared: 1, priority: 25 }, payload: `job ${tag}` })))
const settlements = (bus) => bus.got.filter((m) => m.kind === Kind.Settle).map(({ payload }) =>
  ({ tag: payload.readBigUInt64LE(0), delayMs: payload.readUInt32LE(8), verb: payload.readUInt8(12), fallback: payload.readUInt8(13) }))
const settled = (bus, verb, nth = 0) => bus.until(() => settlements(bus).filter((s) => s.verb === verb)[nth])

test('a queue is asked for its options by their names', async (t) => {
  const { bus, client } = await joined(t)
  const options = { policy: 'key-shared', keyFrom: 'header Customer', inFlightPerKey: 2, whenFull: 'dead-letter',
    whenExpired: 'dead-letter', singleActive: true, agingMs: 3000, maxDeliver: 3, retryMinMs: 100, retryMaxMs: 5000,
    retryFactor: 150, retryJitter: 20, deadLetter: 'errors' }
  await client.queue('jobs', options)
  await client.consume('jobs', { queue: options })
  for (const body of [requests(bus, 'QueueRequest')[0], requests(bus, 'ConsumeRequest')[0]]) {
    const { policy, keyFrom, inFlightPerKey, whenFull, whenExpired, singleActive, agingMs, maxDeliver } = body.options
    assert.deepStrictEqual([policy, keyFrom, inFlightPerKey, whenFull, whenExpired, singleActive, agingMs, maxDeliver],
      [6, 'header Customer', 2, 4, 2, 2, 3000, 3])
    const { retryMinMs, retryMaxMs, retryFactor, retryJitter } = body.options
    assert.deepStrictEqual([retryMinMs, retryMaxMs, retryFactor, retryJitter], [100, 5000, 150, 20])
    assert.strictEqual(body.deadLetter, 'errors')
  }
  await client.queue('other', { policy: 2, singleActive: false })
  const { options: { policy, singleActive }, deadLetter } = requests(bus, 'QueueRequest')[1]
  assert.deepStrictEqual([policy, singleActive, deadLetter], [2, 1, null])
  await assert.rejects(client.queue('jobs', { policy: 'fastest' }), { code: 'EINVAL', message: /round-robin/ })
})

test('an older bus is not asked for dead letters or a lease', async (t) => {
  const { bus, client } = await joined(t)
  bus.older = true
  await assert.rejects(client.consume('jobs', { queue: { deadLetter: 'none' } }), { code: 'EOPNOTSUPP', errno: -95 })
  await assert.rejects(client.consume('jobs', { autoRenew: true }), { code: 'EOPNOTSUPP' })
  await assert.rejects(client.consume('jobs', { renewMaxMs: 86400001 }), { code: 'EINVAL' })
})

test('attempts of a moved message and a best-effort push', async (t) => {
  const { bus, client } = await joined(t)
  const queue = await client.queue('jobs')
  queue.push('moved', { attempts: 3 })
  const block = Buffer.from((await bus.message(Kind.PushOptions)).headers)
  assert.deepStrictEqual([block.readUInt8(25), block.readUInt16LE(26), block.readUInt32LE(28)], [3, 0, 3])
  for (const wrong of [{ attempts: 1, delayMs: 1 }, { attempts: 65536 }, { attempts: 1, ticket: 1 }]) {
    assert.throws(() => queue.push('x', wrong), { code: 'EINVAL' })
  }
  await queue.push('perhaps', { bestEffort: true, priority: 'high' })
  const m = await bus.message(Kind.Push)
  assert.deepStrictEqual([m.origin, m.target, String(m.payload), m.flags & wire.Flag.High], [null, 5, 'perhaps', wire.Flag.High])
  await assert.rejects(queue.push('x', { bestEffort: true, id: 1n }), { code: 'EINVAL' })
})

test('a delivery tells its level, attempts and number', async (t) => {
  const { bus, client } = await joined(t)
  const consumer = await client.consume('jobs')
  assert.deepStrictEqual([consumer.ackTimeoutMs, consumer.maxDeliver], [400, 5])
  deliver(bus, consumer, 7n)
  const [job] = await consumer.nextBatch(1)
  assert.deepStrictEqual([job.level, job.redelivered, job.attempts, job.number], [9, 2, 1, 7n])
})

test('a batch is handed out when it is full, or when its time is over', async (t) => {
  const { bus, client } = await joined(t)
  const consumer = await client.consume('jobs')
  assert.deepStrictEqual(await consumer.nextBatch(2, 5), [])
  deliver(bus, consumer, 1n, 2n, 3n)
  const texts = async (max, waitMs) => (await consumer.nextBatch(max, waitMs)).map((job) => job.text())
  assert.deepStrictEqual(await texts(2), ['job 1', 'job 2'])
  assert.deepStrictEqual(await texts(2, 5), ['job 3'])
  const later = texts(2, 20000)
  deliver(bus, consumer, 4n)
  deliver(bus, consumer, 5n)
  assert.deepStrictEqual(await later, ['job 4', 'job 5'])
  await assert.rejects(consumer.nextBatch(0), { code: 'EINVAL' })
  const none = consumer.nextBatch(1)
  await consumer.close()
  await assert.rejects(none, { code: 'ENOENT' })
})

test('what waits is renewed, and what the program holds if it wants that', async (t) => {
  const { bus, client } = await joined(t)
  const consumer = await client.consume('jobs')
  deliver(bus, consumer, 1n, 2n)
  const [first] = await consumer.nextBatch(1)
  await settled(bus, SettleVerb.Progress, 1)
  assert.deepStrictEqual(settlements(bus).map((s) => s.tag), [2n, 2n])
  consumer.renew(true)
  await bus.until(() => settlements(bus).some((s) => s.tag === 1n))
  first.ack()
  await settled(bus, SettleVerb.Ack)
  assert.strictEqual(first.inProgress(), false)
})

test('a delivery that is worked on has the longest time', async (t) => {
  const { bus, client } = await joined(t)
  const work = (job) => {
    assert.strictEqual(client.session.promised.length, 0) // the lease has been sent
    job.ack()
  }
  deliver(bus, await client.consume('jobs', work, { autoRenew: true, renewMaxMs: 60000 }), 1n)
  await settled(bus, SettleVerb.Ack)
  assert.deepStrictEqual(settlements(bus).map((s) => [s.tag, s.verb, s.delayMs]),
    [[1n, SettleVerb.Progress, 60000], [1n, SettleVerb.Ack, 0]])
  const waits = await client.consume('jobs', { autoRenew: true })
  deliver(bus, waits, 2n)
  for await (const job of waits) {
    assert.strictEqual(job.number, 2n)
    break
  }
  assert.strictEqual((await settled(bus, SettleVerb.Progress, 1)).delayMs, 300000)
})

test('the usual delay of a nack counts only without a back-off of the queue', async (t) => {
  const { bus, client } = await joined(t)
  const consumer = await client.consume('jobs')
  consumer.retryDelay(250)
  deliver(bus, consumer, 1n, 2n, 3n)
  const jobs = await consumer.nextBatch(3)
  jobs[0].nack()
  jobs[1].nack({ delayMs: 9 })
  jobs[2].nack({ requeue: false })
  await settled(bus, SettleVerb.Reject)
  assert.deepStrictEqual(settlements(bus).map((s) => [s.verb, s.delayMs, s.fallback]),
    [[SettleVerb.Requeue, 250, 1], [SettleVerb.Requeue, 9, 0], [SettleVerb.Reject, 0, 0]])
})

test('a recalled delivery is told, released, and not handed out', async (t) => {
  const { bus, client } = await joined(t)
  const recalled = []
  const consumer = await client.consume('jobs', { onRecall: (job) => recalled.push(job.text()) })
  deliver(bus, consumer, 1n, 2n, 3n)
  const [first] = await consumer.nextBatch(1)
  bus.send([1n, 2n].map((tag) => wire.message(Kind.Recall, { target: consumer.number, delivery: { tag, queue: 5 } })))
  await settled(bus, SettleVerb.Released, 1)
  assert.deepStrictEqual([recalled, first.recalled, first.ack()], [['job 1', 'job 2'], true, false])
  const [next] = await consumer.nextBatch(1)
  assert.strictEqual(next.text(), 'job 3')
})

test('another client cancels by name, and hears that nothing waits', async (t) => {
  const { bus, client } = await joined(t)
  await client.cancel('jobs', 17)
  assert.deepStrictEqual(requests(bus, 'CancelRequest').map((r) => [r.queue, r.ticket]), [['jobs', 17n]])
  bus.refusal = { code: -3, text: 'no message with this ticket waits' }
  await assert.rejects(client.cancel('jobs', 18), { code: 'ESRCH', errno: -3 })
})
