import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { catalogue } from '../../../src/compose/catalogue.js'
import { optionShape } from '../../../src/config/schema.js'
import { ragErrorCodes } from '../../../src/core/errors.js'

const root = new URL('../../../', import.meta.url)
const names = readdirSync(new URL('docs', root)).filter((name) => name.endsWith('.md'))
const pages = new Map(['README.md', ...names.map((name) => `docs/${name}`)].map((path) => [path, read(path)]))

describe('the documentation', () => {
  it('is found from the README, every page and every example', () => {
    const readme = read('README.md')
    const examples = readdirSync(new URL('examples', root)).filter((name) => name.endsWith('.ts'))
    const wanted = [...names.map((name) => `docs/${name}`), ...examples.map((name) => `examples/${name}`)]
    expect(wanted.filter((path) => !readme.includes(`](${path})`))).toEqual([])
  })

  it('links to what there is, headings included', () => {
    const broken = [...pages].flatMap(([path, text]) =>
      linksOf(text)
        .filter((link) => !isThere(path, link))
        .map((link) => `${path}: ${link}`),
    )
    expect(broken).toEqual([])
  })

  it('lists every code of an error, and no other', () => {
    expect(firstColumn('docs/errors.md')).toEqual([...ragErrorCodes])
  })

  it('lists every option, and no other', () => {
    expect(firstColumn('docs/options.md').sort()).toEqual(Object.keys(optionShape(catalogue)).sort())
  })
})

function read(path: string): string {
  return readFileSync(new URL(path, root), 'utf8')
}

/** The names that begin the rows of a page's tables. */
function firstColumn(path: string): string[] {
  return [...read(path).matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name ?? '')
}

/** What a page links to, other than the web. */
function linksOf(text: string): string[] {
  const prose = text.replace(/```[\s\S]*?```/g, '')
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link ?? '').filter((link) => !/^\w+:/.test(link))
}

function isThere(page: string, link: string): boolean {
  const [path = '', heading] = link.split('#')
  const target = path === '' ? new URL(page, root) : new URL(path, new URL(page, root))
  if (!existsSync(target)) return false
  return heading === undefined || headingsOf(readFileSync(target, 'utf8')).includes(heading)
}

/** The headings of a page, as links name them. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
