// SPDX-License-Identifier: Apache-2.0
// queue_options: options of a queue as the program writes them, and as the bus reads them.
import { MillraceError } from './errors.js'

const NAMES = {
  policy: ['default', 'least-recently-used', 'round-robin', 'least-outstanding', 'random', 'weighted', 'key-shared'],
  whenFull: ['default', 'wait', 'refuse', 'drop-oldest', 'dead-letter'],
  whenExpired: ['default', 'discard', 'dead-letter']
}

// A name as its number; numbers stay.
function number(field, value) {
  if (typeof value !== 'string') return value
  const found = NAMES[field].indexOf(value)
  if (found < 0) throw new MillraceError('EINVAL', `${field} is one of ${NAMES[field].join(', ')}`)
  return found
}

/** Options for a QueueRequest or ConsumeRequest: {options, deadLetter}. A missing one is the default of the bus. */
export function queueOptions(given) {
  if (!given) return { options: given, deadLetter: undefined }
  const { deadLetter, singleActive, ...options } = given
  for (const field of Object.keys(NAMES)) {
    if (field in options) options[field] = number(field, options[field])
  }
  if (singleActive !== undefined) options.singleActive = typeof singleActive === 'boolean' ? 1 + singleActive : singleActive
  return { options, deadLetter }
}
