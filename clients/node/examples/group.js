// SPDX-License-Identifier: Apache-2.0
// group: prints its share of the messages of a subject.
//
//   node examples/group.js -n 10 jobs.new workers
//
// Of all members of the group, one gets each message. Prints "subscribed" when it is ready. Ends after COUNT messages,
// 10 by default, or when none came for two seconds after the first.
import { example } from './arguments.js'

await example(['SUBJECT', 'GROUP'], 10, async (client, [subject, group], count) => {
  const share = await client.subscribe(subject, { group, max: count })
  let timer
  console.log('subscribed')
  for await (const m of share) {
    console.log(m.text())
    clearTimeout(timer)
    timer = setTimeout(() => share.drain(), 2000)
  }
  clearTimeout(timer)
})
