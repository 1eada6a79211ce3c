// SPDX-License-Identifier: Apache-2.0
// millrace: a client of the millrace message bus over UDP. README.md is the introduction, index.d.ts the reference.
export { connect, Client } from './client.js'
export { MillraceError, NoRespondersError } from './errors.js'
export { Message } from './messages.js'
export { Consumer, Delivery, Request, Service, Subscription } from './receivers.js'
export { Queue } from './queue.js'
export { Stream } from './streams.js'
