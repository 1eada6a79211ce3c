// SPDX-License-Identifier: Apache-2.0
// headers: header blocks (docs/protocol.md, "Header blocks").
import { MillraceError } from './errors.js'

const NAME = /^[^\x00-\x20:\x7f]+$/
const LINE = /^([^\x00-\x20:\x7f]+):[ \t]*(.*?)[ \t]*$/s

/** The block of an object of texts; '' for none. */
export function headerBlock(headers) {
  const lines = Object.entries(headers ?? {}).map(([name, value]) => {
    const text = String(value)
    if (!NAME.test(name) || /[\r\n\0]/.test(text)) throw new MillraceError('EINVAL', `malformed header: ${name}`)
    return `${name}: ${text}\r\n`
  })
  return lines.length > 0 ? `NATS/1.0\r\n${lines.join('')}\r\n` : ''
}

/** The headers of a block, by their names in lower case; the first of several lines with one name counts. */
export function parseHeaders(block) {
  const headers = new Map()
  const [first, ...lines] = block.toString('utf8').split('\r\n')
  if (!first.startsWith('NATS/1.0')) return headers
  for (const line of lines) {
    const [, name, value] = LINE.exec(line) ?? []
    if (name !== undefined && !headers.has(name.toLowerCase())) headers.set(name.toLowerCase(), value)
  }
  return headers
}
