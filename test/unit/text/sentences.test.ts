import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sentenceSpans } from '../../../src/text/sentences.js'
import { countReads } from '../../lib/count-reads.js'
import { anyText, hostileTexts } from '../../lib/texts.js'

/** The sentences of `text`, each on its own. */
function sentences(text: string): string[] {
  const spans = sentenceSpans(text)
  return Array.from({ length: spans.length / 2 }, (_, i) => text.slice(spans[2 * i], spans[2 * i + 1]))
}

/** `Dr. Who came.|He left.`: where the text should be cut, by a bar in place of the white space (or of nothing, after `^`). */
function expectCuts(...marked: readonly string[]): void {
  for (const line of marked) {
    const expected = line.split(/\||\^/).map((sentence) => sentence.trim())
    expect(sentences(line.replaceAll('|', ' ').replaceAll('^', ''))).toEqual(expected)
  }
}

describe('sentenceSpans', () => {
  it('finds nothing in white space', () => {
    for (const text of ['', ' ', '\n\t\u00a0\u3000\r\n\ufeff']) expect(sentenceSpans(text)).toEqual([])
  })

  it('cuts behind stops and what closes with them', () => {
    expectCuts(
      'One.|Two!|Three?|Four',
      'He said "Go."|Then he left.',
      '(See below.)|It works.',
      'Really?!|Yes!!!|"No."|End.',
      '**Bold.**|_Next._|Last.',
      'It is (very) odd.|[Sic.]|Then.',
    )
  })

  it('goes on behind a question or shout that is quoted', () => {
    expectCuts('"Really?" he asked.|"Stop!" she cried.|Silence.')
  })

  it('does not cut at abbreviations and initials', () => {
    expectCuts(
      'Dr. Smith met Mrs. J. R. Jones, e.g. on Jan. 5, i.e. in winter.|They left.',
      'See Fig. 3, No. 5 and pp. 3-4 of vol. 2.|Then stop.',
      'Brown vs. Green et al. (2003) agree.|So do I.',
      'The U.S. Army and Acme Inc. Chairman Roe v. Wade.|End.',
      'By J. Smith and K. Lee.|Albert I. Jones came.',
      'Z.B. das, d.h. bzw. usw. und so weiter.|Der Rest.',
      'M. Dupont et Mme. Durand sont là, p. ex. ici.|Le reste.',
      'El Sr. García y la Sra. López, p. ej. aquí.|El resto.',
      'Il sig. Rossi e il dott. Bianchi.|Il resto.',
      'Do you like p. 5, s. 3 or ch. 7?|Yes.',
    )
  })

  it('cuts at abbreviations before a word that begins sentences', () => {
    expectCuts(
      'He lives in the U.S.|The rest do not.',
      'She works for Acme Inc.|It is big.',
      'Apples, pears, etc.|Birds sing.',
      'At 5 p.m.|Birds sing.',
      'No.|That is wrong.',
      'We like vitamin C.|The rest we like less.',
      'A team, you and I.|Did you know?',
    )
  })

  it('takes words for words that are abbreviations elsewhere', () => {
    expectCuts('We sat in the sun.|Birds sang.', 'This is art.|Look.', "I don't.|You do.", 'He was ill.|Nobody came.')
  })

  it('does not cut in numbers, versions, names of files and addresses', () => {
    expectCuts(
      'Pi is 3.14 and v2.0.1 is out.|Next.',
      'See https://a.b/c?q=1!x#y. or www.x.org.|Mail me@x.org now.',
      'Open read.me or a.tar.gz.|Done.',
      'It costs $5.00.|That is .5 more.',
    )
  })

  it('cuts behind numbers, but not behind ordinals and enumerators', () => {
    expectCuts(
      'It was 1984.|The book came later.',
      'COVID-19.|The end.',
      'We saw three.|(i) The first is good.|(b) The second.',
      'See accession no. KF906251 and No. 7.|Next.',
      'Am 3. Oktober kam er.|Der 2. Weltkrieg endete.',
      '1. First of all.|2. Second.',
      'a. This.',
      'iv. That.',
      '1.2.3. Deep heading',
    )
  })

  it('reads dots as one stop, or as a pause before lower case', () => {
    expectCuts('Wait... what?|Yes...|Maybe.', 'So … and so.|Then …|Well.', 'Hello. . . .|Next.')
  })

  it('cuts before lower case only where the text is in lower case', () => {
    expectCuts('hi there.|how are you?|fine.', 'The approx. value.|It is Foo. bar here.')
  })

  it('reads tokenised text, which has spaces before its stops', () => {
    expectCuts(
      'THE U.S . WANTS IT .|ON DEC . 28 THEY MET .|THE U.S . AND FRANCE .|THE END .',
      'facts are clear..|1. it grows to 40 .|so does hs .|the end',
      'on the 15th day .|3. pl is low .|4. the ratio rises .',
    )
  })

  it('cuts at blank lines and before and after blocks of a line, not at single line ends', () => {
    expectCuts('One\ntwo\r\nthree.|Four')
    expect(sentences('One\n\ntwo\r\n \r\nthree\n\t\nfour\ffive')).toEqual(['One', 'two', 'three', 'four', 'five'])
    expect(sentences('Items:\n- one\n* two\n• three\n1. four\n2) five\n(c) six\n  going on')).toEqual([
      'Items:',
      '- one',
      '* two',
      '• three',
      '1. four',
      '2) five',
      '(c) six\n  going on',
    ])
    expect(sentences('# Head\nText\n## Sub\n| a | b |\n| 1 | 2 |\nText\n```js\nx')).toEqual([
      '# Head',
      'Text',
      '## Sub',
      '| a | b |',
      '| 1 | 2 |',
      'Text',
      '```js\nx',
    ])
  })

  it('takes the end of a line too long to be wrapped for the end of a paragraph', () => {
    const long = 'word '.repeat(45).trim()
    expect(sentences(`${long}\nThen`)).toEqual([long, 'Then'])
    expect(sentences(`${long}\nand on`)).toEqual([`${long}\nand on`])
    expect(sentences('Short\nThen')).toEqual(['Short\nThen'])
  })

  it('cuts Chinese and Japanese without spaces', () => {
    expectCuts(
      '今天天气很好。^我们去公园吧！^好吗？^“好的。”^他说。',
      '「はい。」と言った。^次です。',
      '値は３．１４です．^次です｡^はい。',
      '版本是 GPT-4.0。^OK!^这是.^好',
    )
  })

  it('knows the stops of other scripts', () => {
    expectCuts(
      'يوم جميل.|هل أنت بخير؟|نعم۔|د. محمد',
      'यह एक है।|वह दो है॥|तीन',
      'Πού είσαι;|Εδώ είμαι.|Ναι',
      'Это он.|А это она.|Где г. Иванов?',
      'Բարեւ։|Ինչպես ես։|Լավ',
      '¿Qué tal?|¡Bien!|¿Y tú?',
      'สวัสดีครับ|ผมชื่อ|สมชาย abc ค่ะ',
    )
  })

  it('gives ascending, trimmed spans that leave out nothing but white space', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const spans = sentenceSpans(text)
        let previous = 0
        for (let i = 0; i < spans.length; i += 2) {
          const [start, end] = [spans[i] as number, spans[i + 1] as number]
          expect(text.slice(previous, start).trim()).toBe('')
          expect(start).toBeGreaterThanOrEqual(previous)
          expect(end).toBeGreaterThan(start)
          expect(text.slice(start, end)).toBe(text.slice(start, end).trim())
          previous = end
        }
        expect(text.slice(previous).trim()).toBe('')
      }),
      { seed: 1, numRuns: 1_000 },
    )
  })

  it('finds the same sentences whatever stands in the paragraph before', () => {
    fc.assert(
      fc.property(anyText, anyText, (before, text) => {
        // A paragraph is on its own: what holds no blank line is read alike after one.
        const alone = sentences(text)
        const after = sentences(`${before}\n\n${text}`)
        expect(after.slice(after.length - alone.length)).toEqual(alone)
      }),
      { seed: 2, numRuns: 500 },
    )
  })

  it.each(hostileTexts)('reads %s a bounded number of times', (_, repeat) => {
    const reads = (length: number): number => {
      const text = repeat(length)
      return countReads(() => sentenceSpans(text)) / text.length
    }
    expect(reads(100_000)).toBeLessThan(100)
    expect(reads(100_000)).toBeLessThan(1.1 * reads(10_000) + 1)
  })
})
