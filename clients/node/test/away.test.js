// SPDX-License-Identifier: Apache-2.0
// Publishes while the bus is away, fail-over to another bus, and subscriptions that end by themselves.

import { test as nodeTest } from 'node:test'
import assert from 'node:assert'
import { once } from 'node:events'
import { connect } from '../src/index.js'
import { FakeBus } from './fake_bus.js'
import { table } from '../src/tables.js'
import * as wire from '../src/wire.js'

const test = (name, run) => nodeTest(name, { timeout: 30000 }, run)
const { Kind } = wire
const over = wire.message(Kind.Close, { payload: table('Result', { code: -108, text: 'over' }) })
const published = (bus) => bus.got.filter((m) => m.kind === Kind.Publish).map((m) => String(m.payload))

async function listening(t) {
  const bus = new FakeBus()
  const { host, port } = await bus.listen()
  t.after(() => bus.close())
  return { bus, address: `udp://${host}:${port}` }
}

async function joined(t, options = {}) {
  const { bus, address } = await listening(t)
  const client = await connect(address, options)
  t.after(() => client.close())
  return { bus, client }
}

// Ends the session, and resolves when the client knows.
async function leave(bus, client) {
  bus.send([over], { sequence: 0 })
  const [state] = await once(client, 'state')
  assert.strictEqual(state.connected, false)
}

test('without an option, a publish fails while the bus is away', async (t) => {
  const { bus, client } = await joined(t)
  await leave(bus, client)
  assert.throws(() => client.publish('a', 'x'), { code: 'ENOTCONN' })
  assert.strictEqual(client.kept, 0)
})

test('kept publishes come in order, those of the new session behind them', async (t) => {
  const { bus, client } = await joined(t, { whenAway: 'keep' })
  await leave(bus, client)
  for (let n = 0; n < 50; n++) client.publish('a', String(n))
  assert.strictEqual(client.kept, 50)
  await once(client, 'state')
  client.publish('a', 'last')
  await bus.until(() => published(bus).includes('last'))
  assert.deepStrictEqual(published(bus), [...Array(50).keys()].map(String).concat('last'))
  assert.deepStrictEqual([client.kept, client.lost], [0, 0])
})

test('without room, keep refuses, and drop-oldest tells what was lost', async (t) => {
  const limits = { awayBytesMax: 1000 } // of 10 messages: 1 + 19 + 80 bytes
  const keeping = await joined(t, { whenAway: 'keep', ...limits })
  await leave(keeping.bus, keeping.client)
  for (let n = 0; n < 10; n++) keeping.client.publish('a', String(n).padStart(19))
  assert.throws(() => keeping.client.publish('a', 'x'), { code: 'ENOTCONN' })
  assert.strictEqual(keeping.client.kept, 10)
  assert.strictEqual(keeping.client.hasRoom, false)

  const { bus, client } = await joined(t, { whenAway: 'drop-oldest', ...limits })
  await leave(bus, client)
  for (let n = 0; n < 25; n++) client.publish('a', String(n).padStart(19))
  assert.deepStrictEqual([client.kept, client.lost], [10, 15])
  assert.throws(() => client.publish('a', Buffer.alloc(2000)), { code: 'ENOTCONN' })
  const [lost] = await once(client, 'lost')
  assert.deepStrictEqual(lost, { lost: 15, total: 15 })
  await bus.until(() => published(bus).length === 10)
  assert.deepStrictEqual(published(bus).map(Number), [15, 16, 17, 18, 19, 20, 21, 22, 23, 24])
})

test('more than the buffer to the bus holds is sent as there is room', async (t) => {
  const { bus, client } = await joined(t, { whenAway: 'keep', bufferBytesMax: 8192 })
  await leave(bus, client)
  // The socket of the fake bus holds all of them.
  for (let n = 0; n < 50; n++) client.publish('a', String(n).padStart(1000))
  await bus.until(() => published(bus).length === 50)
  assert.deepStrictEqual(published(bus).map(Number), [...Array(50).keys()])
})

test('what is kept when the client ends is told as lost', async (t) => {
  const { bus, client } = await joined(t, { whenAway: 'keep' })
  await leave(bus, client)
  client.publish('a', 'x')
  const told = once(client, 'lost')
  await client.close()
  assert.deepStrictEqual((await told)[0], { lost: 1, total: 1 })
  assert.throws(() => client.publish('a', 'x'), { code: 'ENOTCONN' })
})

test('an unknown fate is refused', async () => {
  await assert.rejects(connect('udp://127.0.0.1', { whenAway: 'maybe' }), { code: 'EINVAL' })
})

test('goes to the next address when a bus is lost, with subscriptions and what was kept', async (t) => {
  const [first, second] = [await listening(t), await listening(t)]
  const client = await connect([first.address, second.address], { whenAway: 'keep', connectTimeoutMs: 600 })
  t.after(() => client.close())
  await client.subscribe('a', () => {})
  first.bus.lose(1000) // it answers no Hello any more
  await leave(first.bus, client)
  client.publish('a', 'kept')
  await second.bus.message(Kind.Publish)
  assert.deepStrictEqual(published(second.bus), ['kept'])
  assert.ok(second.bus.got.some((m) => m.kind === Kind.Control))
  assert.strictEqual(client.server, 1)
})

test('a subscription ends after exactly so many messages', async (t) => {
  const { bus, client } = await joined(t)
  const texts = []
  const one = await client.subscribe('a', (m) => texts.push(m.text()), { max: 3 })
  const two = await client.subscribe('b')
  two.unsubscribeAfter(2)
  const messages = (to) => [...Array(10).keys()].map((n) =>
    wire.message(Kind.Deliver, { target: to.number, subject: 'a', payload: String(n) }))
  bus.send([...messages(one), ...messages(two)])
  const read = []
  for await (const m of two) read.push(m.text())
  assert.deepStrictEqual([texts, read], [['0', '1', '2'], ['0', '1']])
  assert.deepStrictEqual([one.count, two.count], [3, 2])
  assert.throws(() => two.unsubscribeAfter(0), { code: 'EINVAL' })
})
