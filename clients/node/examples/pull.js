// SPDX-License-Identifier: Apache-2.0
// pull: pulls jobs from a queue, one at a time, and acknowledges each when it is done.
//
//   node examples/pull.js -n 3 example.jobs
//
// Start several: they share the jobs. A job with the payload "bad" is rejected, and goes to the dead letters,
// QUEUE.dead. Prints "pulling" when it is ready, and ends after COUNT deliveries, 1 by default.
import { example } from './arguments.js'

await example(['QUEUE'], 1, async (client, [name], count) => {
  const jobs = await client.consume(name, { prefetch: 1 })
  console.log('pulling')
  for await (const job of jobs) {
    if (job.text() === 'bad') {
      job.nack({ requeue: false })
    } else {
      job.inProgress() // work that takes long says so now and then
      console.log(`${job.text()}${job.redelivered > 0 ? ' (again)' : ''}`)
      job.ack() // if the program dies before this, another consumer gets the job
    }
    if (--count === 0) break
  }
})
