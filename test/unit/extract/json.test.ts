import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createJsonExtractor } from '../../../src/extract/json.js'
import { codeOf, options, readAll, sourceOf } from './helpers.js'

const json = createJsonExtractor()
const read = async (content: string, extractor = json) => (await readAll(extractor, sourceOf(content))).text
const lines = (content: string) => ({ ...sourceOf(content), mediaType: 'application/x-ndjson' })

describe('the JSON extractor', () => {
  test.each([
    [
      'an object',
      '{"name":"Ada","born":1815,"alive":false,"x":null,"y":""}',
      'name: Ada\nborn: 1815\nalive: false\n\n',
    ],
    ['records', '[{"a":{"b":"x"}},{"a":{"b":"y"}}]', 'a.b: x\n\na.b: y\n\n'],
    ['records further in', '{"n":2,"list":[{"a":1},{"a":2}]}', 'n: 2\nlist.a: 1\n\nlist.a: 2\n\n'],
    ['lists of values', '[{"tags":["a","b"],"t":"c"}]', 'tags: a, b\nt: c\n\n'],
    ['lists of lists', '[[1,2],[3]]', '1, 2\n\n3\n\n'],
    ['numbers of many digits', '{"id":12345678901234567890,"x":1e400}', 'id: 12345678901234567890\nx: 1e400\n\n'],
    ['one text', '"words"', 'words\n\n'],
    ['escapes', '{"a\\u0041":"\\ud83d\\ude00 \\ud800"}', 'aA: 😀 \ufffd\n\n'],
    ['keys of objects', '{"__proto__":{"constructor":"x"}}', '__proto__.constructor: x\n\n'],
  ])('writes %s', async (_name, content, expected) => {
    expect(await read(content)).toBe(expected)
  })

  test('writes long texts as prose', async () => {
    const body = 'A sentence. '.repeat(40).trim()
    const { blocks } = await readAll(json, sourceOf(JSON.stringify([{ id: 1, body, by: 'Ada' }])))
    expect(blocks).toEqual([
      { kind: 'table', text: 'id: 1\n' },
      { kind: 'text', text: `body: ${body}\n\n` },
      { kind: 'table', text: 'by: Ada\n\n' },
    ])
  })

  test('takes the text at a path and nothing else', async () => {
    const content = '{"articles":[{"body":"one","x":"no"},{"body":"two"}],"body":"no"}'
    expect(await read(content, createJsonExtractor({ text: 'articles.*.body' }))).toBe('one\n\ntwo\n\n')
    expect(await codeOf(createJsonExtractor({ text: 'nowhere' }), sourceOf(content))).toBe('EMPTY')
    const inLines = createJsonExtractor({ text: 'body' })
    expect((await readAll(inLines, lines('{"body":"one"}\n{"body":"two"}\n'))).text).toBe('one\n\ntwo\n\n')
    expect(() => createJsonExtractor({ text: 'a..b' })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
  })

  test('reads JSON Lines, and says in which value they end to be so', async () => {
    expect((await readAll(json, lines('{"a":1}\r\n\n{"a":2}'))).text).toBe('a: 1\n\na: 2\n\n')
    await expect(readAll(json, lines('{"a":1}\n{"a":}\n'))).rejects.toMatchObject({
      code: 'CORRUPT',
      data: { value: 2 },
    })
    expect(await codeOf(json, lines('\n\n'))).toBe('EMPTY')
  })

  test('accepts what JSON.parse accepts, and refuses what it refuses', async () => {
    const piece = fc.constantFrom(
      ...'{}[]:,"'.split(''),
      'true',
      'null',
      '1',
      '-0.5e3',
      '"a"',
      ' ',
      '\n',
      '01',
      '1.',
      "'",
      '\\',
    )
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.json(),
          fc.array(piece, { maxLength: 12 }).map((list) => list.join('')),
        ),
        async (content) => {
          if (content.trim() === '') return
          let sound = true
          try {
            JSON.parse(content)
          } catch {
            sound = false
          }
          const code = await codeOf(json, sourceOf(content, { partBytes: 3 }))
          expect(sound ? [undefined, 'EMPTY'] : ['CORRUPT']).toContain(code)
        },
      ),
      { seed: 12, numRuns: 600 },
    )
  })

  test('refuses values without end and nesting without bottom as LIMIT', async () => {
    const deep = '['.repeat(100_000)
    expect(await codeOf(json, sourceOf(deep))).toBe('LIMIT')
    expect(await codeOf(json, sourceOf('{"a":'.repeat(5_000)))).toBe('LIMIT')
    expect(await codeOf(json, sourceOf('['.repeat(900) + ']'.repeat(900)))).toBe('EMPTY')
    const part = new Uint8Array(65_536).fill(97)
    let delivered = 0
    async function* stream() {
      yield new TextEncoder().encode('{"a":"')
      for (; delivered < 20_000; delivered++) yield part
    }
    const { blocks } = await json.extract({ ...sourceOf(''), stream }, options)
    await expect(blocks[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'LIMIT' })
    expect(delivered).toBeLessThan(300)
  })
})
