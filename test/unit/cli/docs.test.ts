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

  it('lists every exit code', () => {
    const codes = [...page.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code))
    expect(codes).toEqual(Object.values(exitCodes))
  })
})
