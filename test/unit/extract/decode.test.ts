import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeText, detectEncoding } from '../../../src/extract/decode.js'

async function decode(bytes: Uint8Array, partBytes = 65_536, charset?: string): Promise<string> {
  async function* parts() {
    for (let i = 0; i < bytes.length; i += partBytes) yield bytes.subarray(i, i + partBytes)
  }
  let text = ''
  for await (const part of decodeText(parts(), charset)) {
    expect(part.isWellFormed()).toBe(true)
    text += part
  }
  return text
}

const bytes = (...values: number[]) => Uint8Array.from(values)
const utf16be = (text: string) => Buffer.from(text, 'utf16le').swap16()

describe('decodeText', () => {
  test('gives well-formed text back unchanged, whatever the parts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', maxLength: 60 }),
        fc.integer({ min: 1, max: 7 }),
        async (text, part) => {
          fc.pre(!text.includes('\0') && !text.startsWith('\ufeff'))
          expect(await decode(Buffer.from(text), part)).toBe(text)
        },
      ),
      { seed: 1, numRuns: 200 },
    )
  })

  test('reads any bytes as the same text, whatever the parts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), fc.integer({ min: 1, max: 64 }), async (input, part) => {
        expect(await decode(input, part)).toBe(await decode(input))
      }),
      { seed: 2, numRuns: 200 },
    )
  })

  test('reads Windows-1252 in full', async () => {
    // A space after each keeps two of them from being valid UTF-8 by accident.
    const spaced = Uint8Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? 0x80 + i / 2 : 32))
    const expected = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ'
    expect(await decode(spaced)).toBe([...expected].map((letter) => `${letter} `).join(''))
    const latin1 = Uint8Array.from({ length: 192 }, (_, i) => (i % 2 === 0 ? 0xa0 + i / 2 : 32))
    expect(await decode(latin1)).toBe(Buffer.from(latin1).toString('latin1'))
  })

  test('keeps UTF-8 where single bytes are foreign', async () => {
    const mixed = Buffer.concat([Buffer.from('näive '), bytes(0xe9), Buffer.from(' €')])
    expect(await decode(mixed)).toBe('näive é €')
    expect(await decode(mixed, 1)).toBe('näive é €')
  })

  test('drops byte order marks, and recognises UTF-16 with and without one', async () => {
    const text = 'Grüße, Привет 😀\r\nline two'
    expect(await decode(Buffer.from(`\ufeff${text}`))).toBe(text)
    expect(await decode(Buffer.from(`\ufeff${text}`), 1)).toBe(text)
    expect(await decode(Buffer.from(`\ufeff${text}`, 'utf16le'), 3)).toBe(text)
    expect(await decode(utf16be(`\ufeff${text}`), 3)).toBe(text)
    expect(await decode(Buffer.from(text, 'utf16le'), 5)).toBe(text)
    expect(await decode(utf16be(text), 5)).toBe(text)
  })

  test('drops NULs, keeps line ends and other controls', async () => {
    expect(await decode(Buffer.from(`a\0b\r\nc\x1b\t${'x'.repeat(50)}`))).toBe(`ab\r\nc\x1b\t${'x'.repeat(50)}`)
  })

  test('replaces lone surrogates, and joins pairs that were encoded one by one', async () => {
    expect(await decode(bytes(0x61, 0xed, 0xa0, 0xbd, 0x62))).toBe('a\ufffdb')
    expect(await decode(bytes(0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80))).toBe('😀')
    expect(await decode(Buffer.concat([bytes(0xff, 0xfe), Buffer.from('a\ud83db', 'utf16le')]))).toBe('a\ufffdb')
  })

  test('refuses overlong and too large sequences: their bytes stand for themselves', async () => {
    expect(await decode(bytes(0xc0, 0xaf))).toBe('À¯')
    expect(await decode(bytes(0xf5, 0x80, 0x80, 0x80))).toBe('õ€€€')
  })

  test('uses a known charset label, unless the bytes are plainly Unicode', async () => {
    const shiftJis = bytes(0x93, 0xfa, 0x96, 0x7b)
    expect(await decode(shiftJis, 1, 'Shift_JIS')).toBe('日本')
    expect(await decode(bytes(0xcf, 0xf0, 0xe8), 1, 'windows-1251')).toBe('При')
    expect(await decode(Buffer.from('\ufeffé'), 1, 'windows-1251')).toBe('é')
    expect(await decode(Buffer.from('é'), 1, 'no-such-charset')).toBe('é')
    expect(await decode(Buffer.from('plain'), 1, 'utf-16')).toBe('plain')
  })

  test('gives nothing for nothing', async () => {
    expect(await decode(bytes())).toBe('')
    expect(await decode(bytes(0xef, 0xbb, 0xbf))).toBe('')
    expect(await decode(bytes(0xff, 0xfe))).toBe('')
  })
})

test('detectEncoding does not take a stray NUL for UTF-16', () => {
  expect(detectEncoding(Buffer.from(`abc\0${'d'.repeat(100)}`)).encoding).toBe('utf-8')
  expect(detectEncoding(bytes()).encoding).toBe('utf-8')
})
