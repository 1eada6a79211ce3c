// SPDX-License-Identifier: Apache-2.0
// Requests in parts, for the caller and for the worker, against a fake bus: who grants what, and when.

import { test as nodeTest } from 'node:test'
import assert from 'node:assert'
import { once } from 'node:events'
import { connect } from '../src/index.js'
import { FakeBus } from './fake_bus.js'
import { table } from '../src/tables.js'
import * as wire from '../src/wire.js'

const test = (name, run) => nodeTest(name, { timeout: 30000 }, run)
const { Flag, Kind, SettleVerb } = wire
const QUEUE = 5 // of the fake bus
const TAG = 77n
const delivery = { tag: TAG, queue: QUEUE }
const over = wire.message(Kind.Close, { payload: table('Result', { code: -108, text: 'over' }) })

async function joined(t, options = {}) {
  const bus = new FakeBus({ credit: 256 })
  const { host, port } = await bus.listen()
  const client = await connect(`udp://${host}:${port}`, options)
  t.after(async () => {
    await client.close()
    bus.close()
  })
  return { bus, client }
}

const of = (bus, kind) => bus.got.filter((m) => m.kind === kind)
const texts = (messages) => messages.map((m) => [String(m.payload), (m.flags & Flag.More) !== 0])
const credits = (bus) => of(bus, Kind.Credit).map((m) => m.payload.readUInt32LE(0))
const counts = (bus, kind, n) => bus.until(() => of(bus, kind).length >= n)

// Whatever the client was to do by now it has done: a later request was answered.
const caughtUp = (client) => client.ping()

// The caller's side: a stream, and functions that answer as its worker does.
async function calling(t, options) {
  const { bus, client } = await joined(t, options)
  const stream = await client.stream('words', 'a', { timeoutMs: 20000 })
  const push = await bus.message(Kind.Push)
  const token = { session: 0n, correlation: push.token.correlation }
  const grant = (parts, fields) => bus.send([wire.message(Kind.Credit,
    { token, delivery, payload: wire.streamCredit(parts), ...fields })])
  const reply = (payload, more) => bus.send([wire.message(Kind.Reply,
    { token, delivery, payload, flags: more ? Flag.More : 0 })])
  return { bus, client, stream, push, grant, reply }
}

// The worker's side: a service, and functions that speak as its caller does.
async function serving(t, handler, options) {
  const { bus, client } = await joined(t)
  const service = await client.serve('words', handler, options)
  const token = { session: TAG, correlation: 9n }
  const say = (kind, payload, more = false) => bus.send([wire.message(kind,
    { target: service.number, token, delivery, payload, flags: more ? Flag.More : 0 })])
  const recall = () => bus.send([wire.message(Kind.Recall, { target: service.number, delivery })])
  return { bus, client, service, say, recall }
}

const settlements = (bus) => of(bus, Kind.Settle).map((m) => [m.payload.readBigUInt64LE(0), m.payload.readUInt8(12)])

test('parts go out as the worker grants room for them', async (t) => {
  const { bus, client, stream, push, grant, reply } = await calling(t)
  assert.deepStrictEqual(texts([push]), [['a', true]])
  assert.strictEqual(stream.hasRoom, false)
  const sent = [stream.send('b'), stream.send('c'), stream.end('d')]
  await caughtUp(client)
  assert.deepStrictEqual(of(bus, Kind.Part), [])
  grant(2)
  await Promise.all(sent.slice(0, 2))
  await counts(bus, Kind.Part, 2)
  await caughtUp(client)
  assert.deepStrictEqual(texts(of(bus, Kind.Part)), [['b', true], ['c', true]])
  grant(1)
  await sent[2]
  await counts(bus, Kind.Part, 3)
  const parts = of(bus, Kind.Part)
  assert.deepStrictEqual(texts(parts.slice(2)), [['d', false]])
  assert.deepStrictEqual(parts.map((m) => [m.target, m.token]),
    Array(3).fill([QUEUE, { session: TAG, correlation: push.token.correlation }]))
  await assert.rejects(stream.send('e'), { code: 'EINVAL' })
  reply('done', false)
  assert.strictEqual((await stream.result()).text(), 'done')
  assert.strictEqual(stream.ended, true)
  await assert.rejects(stream.send('e'), { code: 'ENOENT' })
})

test('a part that is too large is refused, and the others go on', async (t) => {
  const { bus, stream, grant } = await calling(t, { bufferBytesMax: 8 << 20 })
  const large = stream.send(Buffer.alloc(2 << 20))
  const small = stream.send('b')
  grant(5)
  await assert.rejects(large, { code: 'EMSGSIZE' })
  await small
  await counts(bus, Kind.Part, 1)
  assert.deepStrictEqual(texts(of(bus, Kind.Part)), [['b', true]])
})

test('parts that wait for the worker are bounded', async (t) => {
  const { stream, grant } = await calling(t, { bufferBytesMax: 10000 })
  const first = stream.send('x'.repeat(9000))
  await assert.rejects(stream.send('x'.repeat(2000)), { code: 'EAGAIN' })
  grant(1)
  await first
  grant(1)
  await stream.send('x'.repeat(2000))
})

test('credit without its number, or of another call, is ignored', async (t) => {
  const { bus, client, stream, grant } = await calling(t)
  grant(1)
  await stream.send('b')
  const before = client.session.stats.ignored
  grant(1, { payload: Buffer.alloc(4) })
  grant(1, { delivery: { tag: 78n, queue: QUEUE } })
  grant(1, { token: { session: 0n, correlation: 1n } })
  await caughtUp(client)
  assert.strictEqual(client.session.stats.ignored, before + 3)
  assert.strictEqual(stream.hasRoom, false)
  assert.strictEqual(of(bus, Kind.Part).length, 1)
})

test('partial replies are granted as they are read, and bounded', async (t) => {
  const { bus, client, stream, reply } = await calling(t)
  const before = client.session.stats.ignored
  for (let i = 0; i < 66; i++) reply(String(i), true)
  await caughtUp(client)
  assert.strictEqual(client.session.stats.ignored, before + 2, 'replies that were not granted')
  assert.deepStrictEqual(credits(bus), [])
  const seen = []
  for await (const m of stream) {
    seen.push([m.text(), m.more])
    if (seen.length === 32) {
      await counts(bus, Kind.Credit, 1)
      assert.deepStrictEqual(credits(bus), [32])
    }
    if (seen.length === 64) reply('last', false)
  }
  assert.deepStrictEqual(seen, [...Array.from({ length: 64 }, (_, i) => [String(i), true]), ['last', false]])
})

test('result() takes the partial replies that nobody reads', async (t) => {
  const { bus, stream, reply } = await calling(t)
  for (let i = 0; i < 40; i++) reply('part', true)
  const result = stream.result()
  await counts(bus, Kind.Credit, 1)
  reply('final', false)
  assert.strictEqual((await result).text(), 'final')
})

test('a call with partial replies grants more of them', async (t) => {
  const { bus, client } = await joined(t)
  let came = 0
  const call = client.call('words', 'x', { onPartial: () => came++ })
  const { token: { correlation } } = await bus.message(Kind.Push)
  const reply = (more) => bus.send([wire.message(Kind.Reply,
    { token: { session: 0n, correlation }, delivery, payload: 'x', flags: more ? Flag.More : 0 })])
  for (let i = 0; i < 40; i++) reply(true)
  await counts(bus, Kind.Credit, 1)
  reply(false)
  await call
  assert.strictEqual(came, 40)
  assert.deepStrictEqual(of(bus, Kind.Credit).map((m) => [m.target, m.token, m.payload.readUInt32LE(0)]),
    [[QUEUE, { session: TAG, correlation }, 32]])
})

test('a stream ends with its status, its time and its session', async (t) => {
  const { bus, client, stream, push } = await calling(t)
  bus.send([wire.message(Kind.Status, { target: 500, token: { session: 0n, correlation: push.token.correlation } })])
  await assert.rejects(stream.result(), { code: 'EREMOTEIO' })
  await assert.rejects(stream.send('b'), { code: 'EREMOTEIO' })
  const late = await client.stream('words', 'a', { timeoutMs: 20 })
  await assert.rejects(async () => { for await (const m of late) assert.fail(m.text()) }, { code: 'ETIMEDOUT' })
  const lost = await client.stream('words', 'a')
  const waits = lost.send('b')
  bus.send([over], { sequence: 0 })
  await assert.rejects(waits, { code: 'ENOTCONN' })
  await assert.rejects(lost.result(), { code: 'ENOTCONN' })
})

test('a closed stream hears no more', async (t) => {
  const { client, stream, reply } = await calling(t)
  const waits = stream.send('b')
  stream.close()
  await assert.rejects(waits, { code: 'ENOENT' })
  for await (const m of stream) assert.fail(m.text())
  const before = client.session.stats.ignored
  reply('late', false)
  await caughtUp(client)
  assert.strictEqual(client.session.stats.ignored, before + 1)
})

test('a worker grants parts as they are read, and answers at the end', async (t) => {
  let go
  const wait = new Promise((resolve) => { go = resolve })
  const { bus, client, say } = await serving(t, async (request) => {
    assert.deepStrictEqual([request.text(), request.more], ['a', true])
    await wait
    const seen = [request.text()]
    for await (const part of request.parts) seen.push(part.text())
    return seen.join('+')
  }, { streams: true, window: 4 })
  say(Kind.Deliver, 'a', true)
  await counts(bus, Kind.Credit, 1)
  assert.deepStrictEqual(credits(bus), [4])
  for (const text of 'bcdef') say(Kind.Part, text, true) // the fifth is one too many
  await caughtUp(client)
  assert.strictEqual(client.session.stats.ignored, 1)
  assert.deepStrictEqual(credits(bus), [4])
  go()
  await counts(bus, Kind.Credit, 3)
  assert.deepStrictEqual(credits(bus), [4, 2, 2])
  say(Kind.Part, 'g', false)
  const reply = await bus.message(Kind.Reply)
  assert.deepStrictEqual([String(reply.payload), reply.flags & Flag.More], ['a+b+c+d+e+g', 0])
})

test('a worker refuses parts unless it says that it takes them', async (t) => {
  const { bus, say } = await serving(t, () => assert.fail('handed out'))
  say(Kind.Deliver, 'a', true)
  await counts(bus, Kind.Settle, 1)
  assert.deepStrictEqual(settlements(bus), [[TAG, SettleVerb.Reject]])
})

test('a recall ends the parts, and is answered when the handler is done', async (t) => {
  let end
  let request
  const failed = new Promise((resolve) => { end = resolve })
  const { bus, client, say, recall } = await serving(t, async (r) => {
    request = r
    try {
      for await (const part of r.parts) assert.fail(part.text())
    } catch (error) {
      end(error.code)
      assert.strictEqual(r.respond('too late'), false)
      assert.deepStrictEqual(settlements(bus), [])
      throw error
    }
  }, { streams: true })
  client.on('error', (error) => assert.fail(error))
  say(Kind.Deliver, 'a', true)
  await counts(bus, Kind.Credit, 1)
  recall()
  assert.strictEqual(await failed, 'ENOENT')
  await counts(bus, Kind.Settle, 1)
  assert.deepStrictEqual(settlements(bus), [[TAG, SettleVerb.Released]])
  assert.strictEqual(request.recalled, true)
  assert.deepStrictEqual(of(bus, Kind.Reply), [])
})

test('a recall of a request that is answered later is answered at once', async (t) => {
  const { bus, say, recall } = await serving(t, () => {})
  say(Kind.Deliver, 'a')
  recall()
  await counts(bus, Kind.Settle, 1)
  assert.deepStrictEqual(settlements(bus), [[TAG, SettleVerb.Released]])
})

test('partial replies wait for the caller', async (t) => {
  let seen
  const { bus, say } = await serving(t, async (request) => {
    for (let i = 0; i < 64; i++) request.respond('part', { more: true })
    assert.throws(() => request.respond('part', { more: true }), { code: 'EAGAIN' })
    seen = request.replies
    await request.room()
    request.respond('one more', { more: true })
    return 'done'
  })
  say(Kind.Deliver, 'a')
  await counts(bus, Kind.Reply, 64)
  assert.strictEqual(seen, 0)
  say(Kind.Credit, wire.streamCredit(3))
  await counts(bus, Kind.Reply, 66)
  assert.deepStrictEqual(texts(of(bus, Kind.Reply).slice(64)), [['one more', true], ['done', false]])
})

test('a lost session and a closed service end the parts', async (t) => {
  const codes = []
  const handler = async (request) => {
    try {
      for await (const part of request.parts) assert.fail(part.text())
    } catch (error) {
      codes.push(error.code)
      throw error
    }
  }
  const { bus, client, service, say } = await serving(t, handler, { streams: true })
  say(Kind.Deliver, 'a', true)
  await counts(bus, Kind.Credit, 1)
  bus.send([over], { sequence: 0 })
  await once(client, 'state')
  await once(client, 'state')
  assert.deepStrictEqual(codes, ['ENOTCONN'])
  bus.got = []
  say(Kind.Deliver, 'a', true)
  await counts(bus, Kind.Credit, 1)
  await service.close()
  await new Promise(setImmediate)
  assert.deepStrictEqual(codes, ['ENOTCONN', 'ENOENT'])
  assert.deepStrictEqual(of(bus, Kind.Reply), [])
})
