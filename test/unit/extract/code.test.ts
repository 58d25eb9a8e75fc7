import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCodeExtractor } from '../../../src/extract/code.js'
import { sourceLanguages } from '../../../src/extract/source-languages.js'
import { options, readAll, sourceOf } from './helpers.js'

const code = createCodeExtractor()
const read = (mediaType: string, content: string) => readAll(code, { ...sourceOf(content), mediaType })
/** Path of each block, with its first words. */
const units = async (mediaType: string, lines: readonly string[]) => {
  const { blocks, text } = await read(mediaType, `${lines.join('\n')}\n`)
  expect(text).toBe(`${lines.join('\n')}\n`)
  return blocks.map(({ headings = [], text }) => `${headings.join(' > ')} | ${text.trim().split('\n')[0]}`)
}

describe('the code extractor', () => {
  test('finds functions of C that give pointers, and reads lines of many stars and words', async () => {
    const stars = `a${'*a'.repeat(190)} b;`
    const words = `${'int*&, '.repeat(50)} = 1`
    const lines = ['std::map<char*, int&> *find(int a) {', '}', 'const char **next(void) {', '}', stars, words]
    expect(await units('text/x-c++', [...lines, 'class A {', `  ${stars}`, '};'])).toEqual(
      expect.arrayContaining(['find() | std::map<char*, int&> *find(int a) {', 'next() | const char **next(void) {']),
    )
  })

  test('gives blank lines behind a comment before it knows what they lead to, when they are many', async () => {
    const source = sourceOf(`// words\n${'\n'.repeat(200_000)}int a;\n`, { partBytes: 4_096 })
    let given = 0
    const stream = async function* () {
      for await (const part of source.stream()) {
        given += part.length
        yield part
      }
    }
    const { blocks } = await code.extract({ ...source, mediaType: 'text/x-c', stream }, options)
    for await (const _first of blocks) break
    expect(given).toBeLessThan(100_000)
  })

  test('finds the units of TypeScript, with the comments above them', async () => {
    expect(
      await units('text/x-typescript', [
        "import a from 'a'",
        '',
        '/** Adds. */',
        'export async function add(',
        '  a: number,',
        '): Promise<number> {',
        '  if (a) {',
        '    function inner() {}',
        '  }',
        '  return a',
        '}',
        '',
        'export const twice = (a: number) =>',
        '  a * 2',
        '',
        'const limit = 3',
        '',
        '@decorated',
        'export default class Store<T> extends Base {',
        '  #size = 0',
        '',
        '  // Opens it.',
        '  static async open(path: string): Promise<void> {',
        '    call(path)',
        '  }',
        '',
        '  get size() {',
        '    return this.#size',
        '  }',
        '}',
        'done()',
      ]),
    ).toEqual([
      " | import a from 'a'",
      'add() | /** Adds. */',
      'twice() | export const twice = (a: number) =>',
      ' | const limit = 3',
      'class Store | @decorated',
      'class Store > open() | // Opens it.',
      'class Store > size() | get size() {',
      ' | done()',
    ])
  })

  test('finds the units of Python by how far they are indented', async () => {
    expect(
      await units('text/x-python', [
        'import os',
        'def one(a,',
        '        b):',
        '    def inner(): pass',
        '    return a',
        '',
        '# About Two.',
        '@dataclass',
        'class Two(Base):',
        '    x: int = 0',
        '',
        '    async def run(self):',
        '        pass',
        '    def stop(self): pass',
        'if __name__ == "__main__":',
        '    one()',
      ]),
    ).toEqual([
      ' | import os',
      'one() | def one(a,',
      'class Two | # About Two.',
      'class Two > run() | async def run(self):',
      'class Two > stop() | def stop(self): pass',
      ' | if __name__ == "__main__":',
    ])
  })

  test.each([
    [
      'text/x-go',
      [
        'package main',
        '',
        'func (s *Store) Open() error {',
        '\treturn nil',
        '}',
        '',
        'type Store struct {',
        '\tn int',
        '}',
      ],
      [' | package main', 'Open() | func (s *Store) Open() error {', 'type Store | type Store struct {'],
    ],
    [
      'text/x-rust',
      ['impl<T> Read for Store<T> {', '    pub fn open(&self) -> u8 {', '        1', '    }', '}', 'fn main() {', '}'],
      [
        'impl Store | impl<T> Read for Store<T> {',
        'impl Store > open() | pub fn open(&self) -> u8 {',
        'main() | fn main() {',
      ],
    ],
    [
      'text/x-java',
      [
        'public class A {',
        '    private final int x;',
        '    @Override',
        '    public String toString() {',
        '        return call(x);',
        '    }',
        '}',
      ],
      ['class A | public class A {', 'class A > toString() | @Override'],
    ],
    [
      'text/x-c',
      [
        '#include <a.h>',
        'static int add(int a, int b)',
        '{',
        '    return a + b;',
        '}',
        'int main(void) {',
        '#ifdef X',
        '    add(1, 2);',
        '#endif',
        '}',
      ],
      [' | #include <a.h>', 'add() | static int add(int a, int b)', 'main() | int main(void) {'],
    ],
    [
      'text/x-ruby',
      ['module M', '  class A', '    def b?', '      1', '    end', '  end', 'end'],
      ['module M | module M', 'module M > class A | class A', 'module M > class A > b() | def b?'],
    ],
    [
      'text/x-php',
      ['<?php', 'class A', '{', '    public function b(): int', '    {', '        return 1;', '    }', '}'],
      [' | <?php', 'class A | class A', 'class A > b() | public function b(): int'],
    ],
    [
      'text/x-lua',
      ['local function a(b)', '  return b', 'end', 'function M.c() end'],
      ['a() | local function a(b)', 'c() | function M.c() end'],
    ],
    [
      'text/x-elixir',
      ['defmodule A.B do', '  def c(x) do', '    x', '  end', 'end'],
      ['defmodule A.B | defmodule A.B do', 'defmodule A.B > c() | def c(x) do'],
    ],
    ['text/x-sql', ['create table a (b int);', 'select 1;'], [' | create table a (b int);']],
  ])('finds the units of %s', async (mediaType, lines, expected) => {
    expect(await units(mediaType, lines)).toEqual(expected)
  })

  test('gives any text back whole, whatever language it claims to be in', async () => {
    const line = fc.constantFrom(
      'class A {',
      'def f():',
      'function f() {',
      '}',
      'end',
      '  }',
      '    x()',
      '',
      '// c',
      '# c',
      '\t',
      'a'.repeat(50_000),
      'é😀',
    )
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...sourceLanguages),
        fc.array(line, { minLength: 1, maxLength: 30 }),
        async ({ mediaType }, lines) => {
          const content = `x\n${lines.join('\n')}`
          expect((await read(mediaType, content)).text).toBe(content)
        },
      ),
      { seed: 13, numRuns: 150 },
    )
  })

  test('leaves no closing brace alone, in the sources of this project', async () => {
    const folder = fileURLToPath(new URL('../../../src/extract', import.meta.url))
    let named = 0
    for (const file of readdirSync(folder)) {
      const { blocks } = await read('text/x-typescript', readFileSync(`${folder}/${file}`, 'utf8'))
      for (const { headings = [], text } of blocks) {
        expect(text).toMatch(/[\p{L}\p{N}]/u)
        named += headings.length > 0 ? 1 : 0
      }
    }
    expect(named).toBeGreaterThan(200)
  })

  test('knows each ending once', () => {
    const endings = sourceLanguages.flatMap((language) => language.endings)
    expect(new Set(endings).size).toBe(endings.length)
  })

  test.each([
    '{'.repeat(50_000),
    'a '.repeat(25_000),
    `export ${'public '.repeat(8_000)}x`,
    'a('.repeat(25_000),
    `${'\n'.repeat(50_000)}x`,
    `${'x::'.repeat(100)}y`.repeat(150),
  ])('reads a hostile text of 50 KB at once (%#)', async (content) => {
    const families = new Map(sourceLanguages.map((language) => [language.family, language]))
    for (const { mediaType } of families.values()) expect((await read(mediaType, content)).text).toBe(content)
  })
})
