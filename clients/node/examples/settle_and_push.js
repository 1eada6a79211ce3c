// SPDX-License-Identifier: Apache-2.0
// settle_and_push: a stage of a pipeline: each order makes a bill and a parcel.
//
//   node examples/settle_and_push.js -n 3 example.orders example.bills example.parcels
//
// Kill it at any time and start it again: each order has one bill and one parcel, if it was pushed exactly once
// (`millrace push` does). Prints "pulling" when it is ready, and ends after COUNT orders, 1 by default.
import { example } from './arguments.js'

await example(['ORDERS', 'BILLS', 'PARCELS'], 1, async (client, names, count) => {
  const [bills, parcels] = [await client.queue(names[1]), await client.queue(names[2])]
  const orders = await client.consume(names[0])
  console.log('pulling')
  for await (const order of orders) {
    await order.settleAndPush([{ queue: bills, payload: `to pay: ${order.text()}` },
      { queue: parcels, payload: order.payload }])
    if (--count === 0) break
  }
})
