// SPDX-License-Identifier: Apache-2.0
// queues: shows on a bus at udp://HOST:PORT that the client for Node has the options of queues. Prints each behaviour
// that it has shown; exits with 1 at the first fault.
import assert from 'node:assert'
import { connect } from '../../../clients/node/src/index.js'

const PATIENCE_MS = 30000

async function next(consumer) {
  const [job] = await consumer.nextBatch(1, PATIENCE_MS)
  assert.ok(job, 'nothing came')
  return job
}

const behaviours = {
  async delayed_messages_come_when_they_are_due_and_cancelled_ones_never(client) {
    const queue = await client.queue('js.later')
    const ticket = queue.ticket()
    queue.push('late', { delayMs: 200 })
    queue.push('never', { delayMs: 3600000, ticket })
    queue.push('dated', { atMs: Date.now() + 3600000, ticket: 17 })
    const begun = performance.now()
    await client.settle()
    await queue.cancel(ticket)
    await client.cancel('js.later', 17)
    await assert.rejects(client.cancel('js.later', 17), { code: 'ESRCH' })
    await assert.rejects(client.cancel('js.nowhere', 17), { code: 'ENOENT' })
    const jobs = await client.consume('js.later')
    const job = await next(jobs)
    assert.strictEqual(job.text(), 'late')
    assert.ok(performance.now() - begun >= 200)
    job.ack()
    assert.deepStrictEqual(await jobs.nextBatch(1, 50), [])
  },

  async a_schedule_repeats_until_it_is_cancelled(client) {
    const queue = await client.queue('js.again')
    await queue.push('tick', { everyMs: 100, ticket: 1 })
    await queue.push('daily', { cron: '0 8 * * mon-fri', ticket: 2 })
    const jobs = await client.consume('js.again')
    for (const _ of [1, 2]) {
      const job = await next(jobs)
      assert.strictEqual(job.text(), 'tick')
      job.ack()
    }
    await queue.cancel(1)
    await queue.cancel(2)
  },

  async messages_of_one_key_go_one_after_the_other(client) {
    const options = { policy: 'key-shared', keyFrom: 'header Customer' }
    const queue = await client.queue('js.keys', options)
    await assert.rejects(client.queue('js.keys', { ...options, keyFrom: 'token 2' }), { code: 'EEXIST' })
    queue.push('ann 1', { key: 'ann' })
    queue.push('ann 2', { headers: { Customer: 'ann' } })
    queue.push('ben 1', { key: 'ben' })
    await client.settle()
    const jobs = await client.consume('js.keys', { queue: options })
    const both = await jobs.nextBatch(2, PATIENCE_MS)
    assert.deepStrictEqual(both.map((job) => job.text()), ['ann 1', 'ben 1'])
    assert.deepStrictEqual(await jobs.nextBatch(1, 50), [])
    for (const job of both) job.ack()
    const last = await next(jobs)
    assert.strictEqual(last.text(), 'ann 2')
    last.ack()
  },

  async failed_attempts_come_back_later_and_end_as_dead_letters_with_the_reason(client) {
    const options = { maxDeliver: 2, retryMinMs: 100, deadLetter: 'js.errors' }
    const queue = await client.queue('js.retry', options)
    await assert.rejects(client.queue('js.retry', { ...options, deadLetter: 'none' }), { code: 'EEXIST' })
    await queue.push('mail')
    const jobs = await client.consume('js.retry', { queue: options })
    assert.strictEqual(jobs.maxDeliver, 2)
    const first = await next(jobs)
    const begun = performance.now()
    first.nack({ error: 'no host' })
    const second = await next(jobs)
    assert.ok(performance.now() - begun >= 50)
    assert.deepStrictEqual([second.attempts, second.headers.get('millrace-error')], [1, 'no host'])
    second.nack({ error: 'still no host' })
    const letters = await client.consume('js.errors')
    const letter = await next(letters)
    assert.deepStrictEqual(['dead-queue', 'dead-reason', 'error'].map((name) => letter.headers.get(`millrace-${name}`)),
      ['js.retry', 'max-deliver', 'still no host'])
    letter.ack()
  },

  async levels_and_attempts_of_a_push_reach_the_consumer(client) {
    const queue = await client.queue('js.levels')
    queue.push('low', { priority: 0 })
    queue.push('high', { priority: 9, attempts: 3, ttlMs: 60000 })
    await client.settle()
    await queue.push('perhaps', { bestEffort: true })
    const jobs = await client.consume('js.levels')
    const all = await jobs.nextBatch(3, PATIENCE_MS)
    const told = all.map((job) => [job.text(), job.level, job.attempts])
    assert.deepStrictEqual(told.sort(), [['high', 9, 3], ['low', 0, 0], ['perhaps', 4, 0]])
    for (const job of all) job.ack()
  },

  async a_function_may_hold_up_the_loop_for_longer_than_the_time_out(client, other) {
    const elsewhere = []
    let second
    const done = new Promise((resolve) => {
      const work = async (job) => {
        second ??= await other.consume('js.long', (again) => elsewhere.push(again.text()))
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1200)
        resolve(job.ack())
      }
      client.consume('js.long', work, { autoRenew: true, queue: { ackTimeoutMs: 500 } })
        .then(async () => (await client.queue('js.long')).push('work'))
    })
    assert.strictEqual(await done, true)
    await other.ping()
    await client.ping()
    assert.deepStrictEqual(elsewhere, [])
  },

  async a_delivery_that_nobody_settles_is_recalled(client, other) {
    const recalled = new Promise((resolve) => {
      client.consume('js.slow', () => {}, { queue: { ackTimeoutMs: 100 }, onRecall: resolve })
        .then(async () => {
          await (await client.queue('js.slow')).push('slow')
          await other.consume('js.slow', (job) => job.ack())
        })
    })
    const job = await recalled
    assert.deepStrictEqual([job.text(), job.recalled, job.ack()], ['slow', true, false])
  }
}

const [server] = process.argv.slice(2)
const [client, other] = await Promise.all([connect(server), connect(server)])
try {
  for (const [name, show] of Object.entries(behaviours)) {
    await show(client, other)
    console.log(name)
  }
} finally {
  await Promise.all([client.close(), other.close()])
}
