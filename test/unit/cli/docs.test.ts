import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { exitCodes } from '../../../src/cli/context.js'
import { environmentVariables } from '../../../src/config/env.js'

const page = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8')

describe('docs/cli.md', () => {
  it('lists every variable beside its option, and no other', () => {
    const rows = [...page.matchAll(/`(UFRAG_\w+)` \| `([\w.]+)`/g)].map(([, variable, option]) => [variable, option])
    const known = Object.entries(environmentVariables).map(([variable, [option]]) => [variable, option])
    expect(rows.sort()).toEqual(known.sort())
  })

  it('names every option of every command, with the page of eval', async () => {
    const program = readFileSync(new URL('../../../src/cli/program.ts', import.meta.url), 'utf8')
    const flags = [...program.matchAll(/'(--[\w-]+)[ ']/g)].map(([, flag]) => flag ?? '')
    expect(flags.length).toBeGreaterThan(30)
    const pages = page + readFileSync(new URL('../../../docs/evaluation.md', import.meta.url), 'utf8')
    expect(flags.filter((flag) => !new RegExp(`${flag}(?![\\w-])`).test(pages))).toEqual([])
  })

  it('lists every exit code', () => {
    const codes = [...page.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code))
    expect(codes).toEqual(Object.values(exitCodes))
  })
})
