// SPDX-License-Identifier: Apache-2.0
// retry: a job that fails: it comes back later each time, and ends as a dead letter with the reason.
//
//   node examples/retry.js -n 3 example.mails 'to: anna'
//
// The job has COUNT attempts, 3 by default, and fails in all. Then it is in QUEUE.dead. The next attempt finds the last
// error in a header, and the dead letter has its reason.
import { example } from './arguments.js'

await example(['QUEUE', 'PAYLOAD'], 3, async (client, [name, payload], count) => {
  const options = { maxDeliver: count, retryMinMs: 50, retryMaxMs: 1000, retryFactor: 200 }
  const queue = await client.queue(name, options)
  await queue.push(payload)
  for await (const job of await client.consume(name, { queue: options })) {
    const attempt = job.attempts + 1
    console.log(`attempt ${attempt}, error before: ${job.headers.get('millrace-error') ?? '-'}`)
    job.nack({ error: `no host in attempt ${attempt}` }) // without a delay of its own: the back-off has it
    if (attempt === count) break
  }
  for await (const letter of await client.consume(`${name}.dead`)) {
    const [reason, attempts, error] = ['dead-reason', 'dead-count', 'error']
      .map((header) => letter.headers.get(`millrace-${header}`))
    console.log(`dead letter: ${letter.text()}, reason: ${reason}, attempts: ${attempts}, last error: ${error}`)
    letter.ack()
    break
  }
})
