// SPDX-License-Identifier: Apache-2.0
// publish: publishes one message with a header.
//
//   node examples/publish.js orders.eu.created '{"id":1}' udp://localhost
//
// Without ADDRESS the client takes MILLRACE_SERVER from the environment.
import { example } from './arguments.js'

await example(['SUBJECT', 'PAYLOAD'], 1, async (client, [subject, payload]) => {
  client.publish(subject, payload, { headers: { language: 'JavaScript' } })
  // example() closes the client, which sends what waits.
  console.log(`published to ${subject}`)
})
