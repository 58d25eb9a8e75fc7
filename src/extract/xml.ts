import { Parser } from 'htmlparser2'
import { RagError } from '../core/errors.js'

/** What is told of an XML document, in order. Names come without their prefix: every program has its own. */
export interface XmlHandler {
  open(name: string, attributes: XmlAttributes): void
  close(name: string): void
  text?(text: string): void
}

/** Attributes of an element, by name with prefix. */
export type XmlAttributes = Readonly<Record<string, string>>

/** Deeper documents are made by hand. */
const maxDepth = 1_000
/** A tag, a comment or a declaration must be held whole. UTF-16 code units. */
const maxTokenUnits = 4 << 20

/**
 * Reads XML in parts, in memory that does not grow with it. Entities of a document type are never resolved, neither from inside nor
 * from outside; nothing is fetched. What is not well-formed is read as far as it makes sense. Throws `LIMIT` for elements more than
 * 1,000 deep, and for a tag longer than 4 Mi code units.
 */
export class XmlReader {
  readonly #parser: Parser
  readonly #name: string
  #given = 0

  constructor(handler: XmlHandler, name: string) {
    let depth = 0
    this.#name = name
    this.#parser = new Parser(
      {
        onopentag(tag, attributes) {
          if (++depth > maxDepth) throw tooDeep(name)
          handler.open(localName(tag), attributes)
        },
        onclosetag(tag) {
          depth--
          handler.close(localName(tag))
        },
        ontext: (text) => handler.text?.(text),
      },
      { xmlMode: true, decodeEntities: true },
    )
  }

  write(part: string): void {
    this.#parser.write(part)
    this.#given += part.length
    if (this.#given - this.#parser.endIndex > maxTokenUnits + part.length) throw tokenTooLong(this.#name)
  }

  end(): void {
    this.#parser.end()
  }
}

/** Reads a whole document into a handler. */
export async function readXml(parts: AsyncIterable<string>, handler: XmlHandler, name: string): Promise<void> {
  const reader = new XmlReader(handler, name)
  for await (const part of parts) reader.write(part)
  reader.end()
}

/** Reads a document into a handler and passes on what it has finished, part by part. */
export async function* readXmlInto<Value>(
  parts: AsyncIterable<string>,
  handler: XmlHandler & { take(): Iterable<Value> },
  name: string,
): AsyncGenerator<Value, void, undefined> {
  const reader = new XmlReader(handler, name)
  for await (const part of parts) {
    reader.write(part)
    yield* handler.take()
  }
  reader.end()
  yield* handler.take()
}

/** The value of an attribute, whatever its prefix. */
export function attribute(attributes: XmlAttributes, name: string): string | undefined {
  if (Object.hasOwn(attributes, name)) return attributes[name]
  const ending = `:${name}`
  const found = Object.keys(attributes).find((key) => key.endsWith(ending))
  return found === undefined ? undefined : attributes[found]
}

function localName(tag: string): string {
  return tag.slice(tag.lastIndexOf(':') + 1)
}

function tooDeep(name: string): RagError {
  return new RagError('LIMIT', `"${name}" holds elements more than ${maxDepth} deep.`, {
    data: { name, maxDepth },
    hint: 'It is hardly made by an office program; open it in one and save a copy.',
  })
}

function tokenTooLong(name: string): RagError {
  return new RagError('LIMIT', `"${name}" holds a tag longer than ${maxTokenUnits} characters.`, {
    data: { name, maxTokenUnits },
    hint: 'It is hardly made by an office program; open it in one and save a copy.',
  })
}
