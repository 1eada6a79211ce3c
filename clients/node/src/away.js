// SPDX-License-Identifier: Apache-2.0
// away: publishes that wait while the bus is away, bounded, in their order.
import { MillraceError } from './errors.js'

const OVERHEAD_BYTES = 80 // of a message, beside its texts
const KINDS = ['error', 'keep', 'drop-oldest']

export class Away {
  constructor(client, { whenAway, awayBytesMax }) {
    if (!KINDS.includes(whenAway)) throw new MillraceError('EINVAL', `whenAway is one of ${KINDS.join(', ')}`)
    Object.assign(this, { client, whenAway, bytesMax: awayBytesMax })
    this.list = []
    this.bytes = 0
    this.lost = 0
    this.untold = 0
    this.sending = null
  }

  get waits() {
    return this.list.length > 0
  }

  get hasRoom() {
    return this.bytes < this.bytesMax / 2
  }

  /** Keeps the parts of a message; throws if there is no room for them. */
  keep(parts) {
    const bytes = parts.bytes + OVERHEAD_BYTES
    if (this.whenAway === 'error' || bytes > this.bytesMax) throw this.refusal()
    while (this.bytes + bytes > this.bytesMax) {
      if (this.whenAway !== 'drop-oldest') throw this.refusal()
      this.shift()
      this.lose(1)
    }
    this.list.push({ parts, bytes })
    this.bytes += bytes
  }

  refusal() {
    return new MillraceError('ENOTCONN', this.whenAway === 'error'
      ? 'not connected to the bus' : 'not connected to the bus, and no room to keep the message')
  }

  shift() {
    this.bytes -= this.list.shift().bytes
  }

  lose(count) {
    this.lost += count
    this.untold += count
  }

  /** Sends what waits, once the session is restored. Other publishes queue up behind it. */
  flush() {
    this.sending ??= this.send().finally(() => { this.sending = null })
    return this.sending
  }

  async send() {
    while (this.waits && this.client.connected) {
      try {
        this.client.sendParts(this.list[0].parts, { target: 0 })
        this.shift()
      } catch (error) {
        if (error.code === 'ENOTCONN') break // the next session goes on
        if (error.code === 'EAGAIN') await new Promise((resolve) => this.client.once('room', resolve))
        else this.drop()
      }
    }
    this.tell()
    this.client.emit('room')
  }

  // This bus does not take the first one: it is larger than the limit of the bus.
  drop() {
    this.shift()
    this.lose(1)
  }

  /** Nothing will be sent any more. */
  end() {
    this.lose(this.list.length)
    this.list = []
    this.bytes = 0
    this.tell()
  }

  // Tells the program once for each time that the bus was away.
  tell() {
    const lost = this.untold
    this.untold = 0
    if (lost > 0) this.client.emit('lost', { lost, total: this.lost })
  }
}
