// SPDX-License-Identifier: Apache-2.0
// The client against a fake bus: loss, duplicates, delays, forged datagrams. Run by node --test.

import { test as nodeTest } from 'node:test'
import assert from 'node:assert'
import { Client } from '../src/client.js'
import { FakeBus, SESSION } from './fake_bus.js'
import { helloIsSmall, helloWaitMs } from '../src/session.js'
import { parseTable, table } from '../src/tables.js'
import * as wire from '../src/wire.js'

// Names a test that hangs, before the scenario ends all of them.
const test = (name, run) => nodeTest(name, { timeout: 30000 }, run)

const { Kind } = wire

// Makes an open client on its own bus; both are closed after the test.
async function joined(t, options = {}) {
  const { bus, client } = await strangers(t, options)
  await client.open()
  return { bus, client }
}

async function strangers(t, { bus: how, ...options }) {
  const bus = new FakeBus(how)
  const { host, port } = await bus.listen()
  const client = new Client(`udp://${host}:${port}`, { name: 'tester', reconnect: false, ...options })
  t.after(async () => {
    await client.close()
    bus.close()
  })
  return { bus, client }
}

// A receiver that gives each message to a function.
const hears = (take) => ({ take })
const deliver = (target, subject, payload, token) => wire.message(Kind.Deliver, { target, subject, payload, token })

test('opens with a padded hello, then with the cookie', async (t) => {
  const { bus, client } = await joined(t)
  assert.deepStrictEqual(bus.hellos.map((h) => [h.bytes, h.says, h.name]), [[1472, 1472, 'tester'], [1472, 1472, 'tester']])
  assert.strictEqual(bus.hellos[0].cookie, 0n)
  assert.notStrictEqual(bus.hellos[1].cookie, 0n)
  assert.strictEqual(bus.hellos[0].nonce, bus.hellos[1].nonce)
  assert.strictEqual(client.session.id, SESSION)
})

test('divides a message that a frame of the bus does not hold', async (t) => {
  const { bus, client } = await joined(t, { bus: { frameBytes: 1400 } })
  client.publish('a', 'x'.repeat(1200))
  client.publish('a', 'y'.repeat(3000), { headers: { one: 1 } })
  await bus.message(Kind.Publish, 3)
  const [whole, ...fragments] = bus.got.filter((m) => m.kind === Kind.Publish)
  assert.strictEqual(whole.fragment, null)
  assert.ok(fragments.every((m) => m.fragment.session === SESSION && m.fragment.offset % 8 === 0))
  const total = fragments.reduce((sum, m) => sum + m.headers.length + m.payload.length, 0)
  assert.strictEqual(total, fragments[0].fragment.total)
  assert.match(fragments[0].headers.toString(), /^NATS\/1\.0\r\none: 1\r\n\r\n$/)
})

test('waits longer for each answer, and tries small datagrams from the 4th on', () => {
  const nth = [1, 2, 3, 4, 5, 6, 7]
  assert.deepStrictEqual(nth.map(helloWaitMs), [100, 200, 400, 800, 1000, 1000, 1000])
  assert.deepStrictEqual(nth.map(helloIsSmall), [false, false, false, true, false, true, false])
})

test('opens with small datagrams where large ones do not come through', async (t) => {
  const { bus, client } = await strangers(t, { bus: { pathBytes: 1300 } })
  await client.open()
  assert.deepStrictEqual(bus.hellos.slice(0, 5).map((h) => h.bytes), [1472, 1472, 1472, 1200, 1200])
  assert.notStrictEqual(bus.hellos[3].nonce, bus.hellos[0].nonce)
  assert.strictEqual(bus.hellos[3].nonce, bus.hellos[4].nonce)
  assert.strictEqual(client.session.frameBytes, 1200)
})

test('begins anew with the size that passes when one has overtaken the other', async (t) => {
  const { bus, client } = await strangers(t, {})
  bus.hold(4) // three large ones and a small one, as when control is away
  await client.open()
  const last = bus.hellos.at(-1)
  assert.strictEqual(last.bytes, 1472)
  assert.notStrictEqual(last.nonce, bus.hellos[0].nonce)
  assert.strictEqual(client.session.frameBytes, 1472)
  client.publish('after.that', 'x')
  await bus.message(Kind.Publish)
})

test('says why it was refused', async (t) => {
  const { client } = await strangers(t, { bus: { refuse: { code: -13, text: 'not from there' } } })
  await assert.rejects(client.open(), { code: 'EACCES', message: 'not from there' })
})

test('gives up in the end', async (t) => {
  const { bus, client } = await strangers(t, { connectTimeoutMs: 250 })
  bus.lose(100)
  await assert.rejects(client.open(), { code: 'ETIMEDOUT' })
})

test('packs what is published at once into frames, by alias once the bus has given one', async (t) => {
  const { bus, client } = await joined(t)
  for (let i = 0; i < 2; i++) client.publish('a.b', 'x')
  await bus.message(Kind.Control)
  await client.ping() // the alias came before
  const before = bus.got.length
  for (let i = 0; i < 100; i++) client.publish('a.b', 'x'.repeat(64))
  await bus.message(Kind.Publish, 101)
  const those = bus.got.slice(before).filter((m) => m.kind === Kind.Publish)
  assert.ok(those.every((m) => m.target === 9 && m.subject === ''))
  assert.strictEqual(new Set(those.map((m) => m.frame)).size, 5) // 20 of 72 bytes in each
})

test('hands deliveries to their subscription', async (t) => {
  const { bus, client } = await joined(t)
  const came = []
  const done = new Promise((resolve) => {
    client.subscribe('a.*', (m) => came.push(`${m.subject} ${m.payload}`) === 2 && resolve())
  })
  const ask = await bus.message(Kind.Control)
  const { body } = parseTable(ask.payload)
  assert.deepStrictEqual([body.pattern, body.group], ['a.*', null])
  const { subscription } = body
  bus.send([deliver(subscription, 'a.b', 'one'), deliver(77, 'a.b', 'not ours'), deliver(subscription, 'a.c', 'two')])
  await done
  assert.deepStrictEqual(came, ['a.b one', 'a.c two'])
})

test('asks again when an answer is lost', async (t) => {
  const { bus, client } = await joined(t)
  bus.lose(1)
  await client.ping()
  assert.strictEqual(client.session.window.lost, 0)
  assert.strictEqual(bus.window.lost, 1)
})

test('pairs replies and statuses with requests', async (t) => {
  const { bus, client } = await joined(t)
  const answer = client.request('greet', 'hello')
  const asked = await bus.message(Kind.Publish)
  bus.send([wire.message(Kind.Reply, { token: { session: SESSION, correlation: asked.token.correlation }, payload: 'hi' })])
  assert.strictEqual((await answer).payload.toString(), 'hi')
  const nobody = client.request('nobody', '')
  const { token } = await bus.message(Kind.Publish, 1)
  bus.send([wire.message(Kind.Status, { target: 503, token })])
  await assert.rejects(nobody, { code: 'EHOSTUNREACH', name: 'NoRespondersError' })
})

test('takes each frame once, also late, and nothing that is not its own', async (t) => {
  const { bus, client } = await joined(t)
  const came = []
  const last = new Promise((resolve) => {
    client.receivers.set(1, hears((m) => came.push(m.payload.toString()) && m.payload.toString() === 'end' && resolve()))
  })
  bus.send([deliver(1, 's', '3')], { sequence: 3 })
  bus.send([deliver(1, 's', '2')], { sequence: 2 })
  bus.send([deliver(1, 's', 'again')], { sequence: 3 })
  bus.send([deliver(1, 's', 'forged')], { sequence: 4, session: SESSION + 1n })
  bus.send([wire.message(Kind.Close)], { sequence: 4, session: SESSION + 1n })
  bus.socket.send(Buffer.from('garbage'), bus.peer.port, bus.peer.address)
  bus.send([deliver(1, 's', 'end')], { sequence: 6 })
  await last
  assert.deepStrictEqual(came, ['3', '2', 'end'])
  assert.deepStrictEqual([client.session.window.lost, client.session.window.late], [2, 1])
  assert.strictEqual(client.session.stats.ignored, 3)
  assert.strictEqual(client.session.stats.faults, 1)
})

test('handles what stands before a length that makes no sense', async (t) => {
  const { bus, client } = await joined(t)
  const came = new Promise((resolve) => client.receivers.set(1, hears((m) => resolve(m.payload.toString()))))
  bus.send([deliver(1, 's', 'good'), Buffer.from('ffff020200000000', 'hex')])
  assert.strictEqual(await came, 'good')
  assert.strictEqual(client.session.stats.faults, 1)
})

test('sends heartbeats, and is lost when none come', async (t) => {
  const { bus, client } = await joined(t, { bus: { heartbeatMs: 40 } })
  await bus.until(() => bus.frames >= 2)
  assert.deepStrictEqual(bus.got, [])
  assert.strictEqual((await client.ended).message, 'the bus is silent')
})

test('fails what waits when the bus closes it', async (t) => {
  const { bus, client } = await joined(t)
  bus.silent = true
  const request = client.request('a', '')
  await bus.message(Kind.Publish)
  const payload = table('Result', { code: -107, text: 'no such session' })
  bus.send([wire.message(Kind.Close, { payload })], { sequence: 0 })
  await assert.rejects(request, { code: 'ENOTCONN' })
  const { errno, message } = await client.ended
  assert.deepStrictEqual([errno, message], [-107, 'no such session'])
})

test('proves another address', async (t) => {
  const { bus, client } = await joined(t, { bus: { heartbeatMs: 1000 } })
  const before = bus.peer.port
  await client.session.move()
  client.publish('lost', '')
  await bus.until(() => bus.peer.port !== before)
  client.publish('found', '')
  const published = await bus.message(Kind.Publish)
  assert.strictEqual(published.subject, 'found')
  assert.strictEqual(client.session.stats.pathsProved, 1)
})

test('says goodbye', async (t) => {
  const { bus, client } = await joined(t)
  client.publish('last', 'words')
  client.session.close()
  const close = await bus.message(Kind.Close)
  assert.strictEqual(close.payload.length, 0)
  assert.strictEqual(bus.got[0].subject, 'last')
  assert.strictEqual(bus.got[0].frame, close.frame)
})

test('the window wraps', async () => {
  const w = new wire.Window()
  w.highest = 0xfffffffe
  w.seen = 1n
  assert.deepStrictEqual([0, 0xffffffff, 0, 1, 0xffffffff].map((s) => w.take(s)), [true, true, false, true, false])
  assert.deepStrictEqual([w.lost, w.late, w.highest], [0, 1, 1])
  const first = new wire.Window()
  assert.strictEqual(first.take(0), false)
  assert.strictEqual(first.take(1), true)
})

