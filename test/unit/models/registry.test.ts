import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { findKnownModel, type KnownModel, knownModels, nameOf, repositoriesOf } from '../../../src/models/registry.js'

describe('known models', () => {
  it('are found by id, by mirror, by name alone, in any case', () => {
    for (const model of knownModels) {
      for (const id of [model.id, ...model.mirrors]) {
        for (const name of [id, nameOf(id), id.toUpperCase(), nameOf(id).toLowerCase()]) {
          expect(findKnownModel(name)?.id, name).toBe(model.id)
        }
      }
    }
    for (const name of ['', '/', 'all-MiniLM', 'other/all-MiniLM-L6-v2', 'sentence-transformers/']) {
      expect(findKnownModel(name), name).toBeUndefined()
    }
  })

  it('have names that are nobody else’s', () => {
    const ids = knownModels.flatMap(({ id, mirrors }) => [id, ...mirrors].map((one) => one.toLowerCase()))
    expect(new Set(ids).size).toBe(ids.length)
    const names = knownModels.map(
      ({ id, mirrors }) => new Set([id, ...mirrors].map((one) => nameOf(one).toLowerCase())),
    )
    const all = names.flatMap((one) => [...one])
    expect(new Set(all).size).toBe(all.length)
  })

  it('are looked for under their own id first, then under those of their mirrors; a mirror only under its own', () => {
    expect(repositoriesOf('gte-small')).toEqual(['thenlper/gte-small', 'Xenova/gte-small'])
    expect(repositoriesOf('thenlper/gte-small')).toEqual(['thenlper/gte-small', 'Xenova/gte-small'])
    expect(repositoriesOf('xenova/gte-small')).toEqual(['Xenova/gte-small'])
    expect(repositoriesOf('acme/gte-small')).toEqual(['acme/gte-small'])
  })

  it('are those of docs/models.md, with the same facts', () => {
    const page = readFileSync(new URL('../../../docs/models.md', import.meta.url), 'utf8')
    const table = page.slice(page.indexOf('## Known models'))
    const rows = table.split('\n').filter((line) => line.startsWith('| `'))
    expect(rows).toEqual(knownModels.map(row))
  })
})

function row(model: KnownModel): string {
  const code = (text: string) => `\`${text}\``
  const prefixes = model.kind === 'embedding' ? [model.prefixes.query, model.prefixes.passage] : ['', '']
  const cells = [
    code(model.id),
    model.kind,
    'dimensions' in model ? model.dimensions : '–',
    'maxTokens' in model ? model.maxTokens : '–',
    'pooling' in model ? model.pooling : '–',
    prefixes.every((text) => text === '') ? '–' : prefixes.map((text) => (text === '' ? '–' : code(text))).join(' / '),
    model.licence ?? 'see its card',
    model.mirrors.filter((id) => id.startsWith('Xenova/')).map(code)[0] ?? '–',
  ]
  return `| ${cells.join(' | ')} |`
}
