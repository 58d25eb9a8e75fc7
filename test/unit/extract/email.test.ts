import { describe, expect, test } from 'vitest'
import { createEmailExtractor } from '../../../src/extract/email.js'
import { readAll, sourceOf } from './helpers.js'

const email = createEmailExtractor()
const read = (lines: readonly string[], partBytes = 65_536) =>
  readAll(email, sourceOf(lines.join('\r\n'), { partBytes }))

const letter = [
  'Received: from a',
  'From: =?utf-8?Q?J=C3=BCrgen?= <j@example.org>',
  'To: b@example.org,',
  '\tc@example.org',
  'Subject: =?iso-8859-1?Q?Gr=FC=DFe_aus?= =?utf-8?B?IE3DvA==?=',
  ' =?utf-8?B?bmNoZW4=?=',
  'Date: Mon, 17 Mar 2014 11:15:04 +0000',
]
const mixed = [
  ...letter,
  'Content-Type: multipart/mixed; boundary="outer"',
  '',
  'This is a message in MIME.',
  '--outer',
  'Content-Type: multipart/alternative; boundary=inner',
  '',
  '--inner',
  'Content-Type: text/plain; charset=utf-8',
  '',
  'plain words',
  '--inner',
  'Content-Type: text/html; charset=iso-8859-1',
  'Content-Transfer-Encoding: quoted-printable',
  '',
  '<h1>Hallo</h1><p>sch=F6ne W=',
  'orte</p><table><tr><td>a</td><td>b</td></tr></table>',
  '--inner--',
  '--outer',
  'Content-Type: application/pdf; name="=?utf-8?Q?na=C3=AFve=2Epdf?="',
  'Content-Disposition: attachment',
  'Content-Transfer-Encoding: base64',
  '',
  'JVBERi0xLjQKc2VjcmV0',
  '--outer',
  "Content-Disposition: attachment; filename*0*=UTF-8''l%C3%A4ng; filename*1=er.txt",
  '',
  'not to be read',
  '--outer--',
  'after the end',
]

describe('the e-mail extractor', () => {
  test.each([1, 7, 65_536])(
    'reads subject, people and the better form of the text (parts of %i bytes)',
    async (partBytes) => {
      const { blocks, text, title } = await read(mixed, partBytes)
      expect(title).toBe('Grüße aus München')
      expect(text).toBe(
        'From: Jürgen <j@example.org>\nTo: b@example.org, c@example.org\nDate: Mon, 17 Mar 2014 11:15:04 +0000\nSubject: Grüße aus München\n\n' +
          'Hallo\n\nschöne Worte\n\na | b\n\nAttachments: naïve.pdf, länger.txt\n',
      )
      expect(blocks.map(({ kind }) => kind)).toEqual(['text', 'heading', 'text', 'table', 'text'])
    },
  )

  test('keeps a last letter that begins a sequence of UTF-8', async () => {
    const header = 'Subject: Voil\u00e0\r\nFrom: =?x-unknown?Q?Andr=C3?=\r\n\r\nwords'
    const { text, title } = await readAll(email, sourceOf(Buffer.from(header, 'latin1')))
    expect(title).toBe('Voilà')
    expect(text).toContain('From: AndrÃ\n')
  })

  test.each(['base64', 'quoted-printable', '8bit'])('puts long texts together again (%s)', async (encoding) => {
    const words = Array.from({ length: 30_000 }, (_, i) => `wörd${i}`).join('\n')
    const bytes = Buffer.from(words)
    const quoted = () =>
      bytes.toString('latin1').replace(/[^\n -~]/g, (letter) => `=${letter.charCodeAt(0).toString(16)}`)
    const body = {
      base64: () => bytes.toString('base64').replace(/.{75}/g, '$&\r\n'),
      'quoted-printable': () => quoted().replace(/d(?=\d)/g, 'd=\r\n'),
      '8bit': () => words,
    }[encoding] as () => string
    const { text } = await read([
      'Content-Type: text/plain; charset=utf-8',
      `Content-Transfer-Encoding: ${encoding}`,
      '',
      body(),
    ])
    expect(text.trim() === words).toBe(true)
  })

  test('takes the plain form where the other holds nothing but a picture', async () => {
    const { text } = await read([
      'Content-Type: multipart/alternative; boundary=x',
      '',
      '--x',
      '',
      'the words',
      '--x',
      'Content-Type: text/html',
      '',
      '<img src="cid:1">',
      '--x--',
    ])
    expect(text.trim()).toBe('the words')
  })

  test.each([
    ['iso-2022-jp', Buffer.from('\x1b$B$3$s$K$A$O\x1b(B', 'latin1'), 'こんにちは'],
    ['koi8-r', Buffer.from([0xf0, 0xd2, 0xc9, 0xd7, 0xc5, 0xd4]), 'Привет'],
    ['unheard-of', Buffer.from('naïve'), 'naïve'],
  ])('reads text in %s', async (charset, body, expected) => {
    const head = Buffer.from(`Content-Type: text/plain; charset="${charset}"\nContent-Transfer-Encoding: base64\n\n`)
    const file = Buffer.concat([head, Buffer.from(body.toString('base64'))])
    expect((await readAll(email, sourceOf(file))).text.trim()).toBe(expected)
  })

  test('joins the lines that were broken to be joined again', async () => {
    const { text } = await read([
      'Content-Type: text/plain; format=flowed',
      '',
      'one ',
      'two',
      '> cited ',
      '> more',
      '-- ',
      'me',
    ])
    expect(text).toBe('one two\n> cited \n> more\n-- \nme\n\n')
  })

  test('reads a message inside, with its own people', async () => {
    const { text } = await read([
      'From: a@example.org',
      'Content-Type: multipart/mixed; boundary=x',
      '',
      '--x',
      '',
      'see below',
      '--x',
      'Content-Type: message/rfc822',
      '',
      'From: z@example.org',
      'Subject: inner',
      '',
      'inner words',
      '--x--',
    ])
    expect(text).toBe('From: a@example.org\n\nsee below\n\nFrom: z@example.org\nSubject: inner\n\ninner words\n\n')
  })

  test('reads what has no header as text, and half a message as far as it goes', async () => {
    expect((await read(['just words', 'no header: here'])).text).toBe('just words\nno header: here\n\n')
    for (let length = 2; length < mixed.length; length++)
      await expect(read(mixed.slice(0, length))).resolves.toBeDefined()
  })

  test.each([
    [
      'levels',
      Array.from({ length: 150 }, (_, i) => [`Content-Type: multipart/mixed; boundary=b${i}`, '', `--b${i}`]).flat(),
    ],
    ['parts', ['Content-Type: multipart/mixed; boundary=b', '', ...Array(10_010).fill('--b')]],
    ['header', [`X: ${'y'.repeat(60_000)}`, ...Array(40).fill(` ${'y'.repeat(60_000)}`)]],
  ])('refuses a message of too many %s as LIMIT', async (_name, lines) => {
    await expect(read([...lines, '', 'words'])).rejects.toMatchObject({ code: 'LIMIT' })
  })

  test('agrees with mailparser on subject and text', async () => {
    const { simpleParser } = await import('mailparser')
    for (const body of ['short', 'Grüße =3D und\r\nmehr', 'x'.repeat(200)]) {
      const encoded = Buffer.from(body).toString('base64')
      const lines = [
        ...letter,
        'Content-Type: text/plain; charset=utf-8',
        'Content-Transfer-Encoding: base64',
        '',
        encoded,
      ]
      const theirs = await simpleParser(lines.join('\r\n'))
      const ours = await read(lines)
      expect(ours.title).toBe(theirs.subject)
      expect(ours.blocks.at(-1)?.text.trim().replaceAll('\r', '')).toBe(theirs.text?.trim())
    }
  })
})
