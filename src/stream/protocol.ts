import type { AnswerEvent } from '../core/events.js'
import type { PublicError } from './public-error.js'

/** The events of one answer as text on the wire. Each method gives what is to be sent, `''` for nothing; a new one for each answer. */
export interface Protocol {
  /** What the response says beside the headers of every event stream. */
  readonly headers: Readonly<Record<string, string>>
  begin(): string
  event(event: AnswerEvent): string
  failure(error: PublicError): string
  /** The last of it, after an answer and after a failure. */
  end(): string
}

/** One message of an event stream: a name, and data without line ends, which JSON never has. */
export function frame(data: string, name?: string): string {
  return `${name === undefined ? '' : `event: ${name}\n`}data: ${data}\n\n`
}
