// SPDX-License-Identifier: Apache-2.0
// remind: work for later: after a time, at a time of day, again and again; and how to cancel it.
//
//   node examples/remind.js -n 3 example.reminders 'tea is ready'
//
// Pushes a reminder for a moment later, one for tomorrow, which it cancels, and one that repeats each half second.
// Prints those that come, and cancels the repetition after COUNT of it, 2 by default.
import { example } from './arguments.js'

// The program's own numbers, so that it can cancel after a restart too. queue.ticket() makes random ones.
const TOMORROW = 1
const AGAIN = 2
const DAY_MS = 86400000

await example(['QUEUE', 'TEXT'], 2, async (client, [name, text], count) => {
  const queue = await client.queue(name)
  queue.push(text, { delayMs: 200 })
  queue.push('tomorrow', { atMs: Date.now() + DAY_MS, ticket: TOMORROW })
  // A push with the same ticket takes the place of this one. For times of day: `cron`.
  queue.push('again', { everyMs: 500, ticket: AGAIN })
  await client.settle() // the queue accepts them now, and delivers them when they are due
  await client.cancel(name, TOMORROW) // ESRCH: none waits, it is due already
  console.log('cancelled tomorrow')
  const reminders = await client.consume(name)
  for await (const reminder of reminders) {
    console.log(reminder.text())
    reminder.ack()
    if (reminder.text() === 'again' && --count === 0) break
  }
  await client.cancel(name, AGAIN)
  console.log('cancelled again')
})
