// SPDX-License-Identifier: Apache-2.0
// ordered: work in the order of its key: the steps of one order are done one after the other, those of other orders
// meanwhile.
//
//   node examples/ordered.js -n 2 example.ordered
//
// Pushes the steps of COUNT orders, 2 by default, and takes them in batches: however many messages wait, a batch has at
// most one of each order. Start several: each order is at one of them.
import { example } from './arguments.js'

const STEPS = ['paid', 'packed', 'shipped']
const BATCH = 16
const WAIT_MS = 200

await example(['QUEUE'], 2, async (client, [name], count) => {
  const options = { policy: 'key-shared' }
  const queue = await client.queue(name, options)
  for (const step of STEPS) {
    for (let order = 1; order <= count; order++) queue.push(step, { key: `order-${order}` })
  }
  await client.settle()
  const jobs = await client.consume(name, { queue: options, prefetch: BATCH })
  for (let left = STEPS.length * count; left > 0;) {
    for (const job of await jobs.nextBatch(BATCH, WAIT_MS)) {
      console.log(`${job.headers.get('millrace-key')} ${job.text()}`)
      job.ack() // the next step of this order is delivered now
      left--
    }
  }
  await jobs.close()
})
