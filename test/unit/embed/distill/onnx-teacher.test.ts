import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { distillStatic } from '../../../../src/compose/distill-static.js'
import { createOnnxEmbedder } from '../../../../src/embed/onnx/onnx.js'
import { createStaticEmbedder } from '../../../../src/embed/static.js'
import type { Embedder } from '../../../../src/embed/types.js'
import { randomNumbers } from '../../../../src/testing/support.js'
import { modelFolder } from '../../../fixtures/models/model-folder.js'
import { commonWords } from '../../../fixtures/models/words.js'
import { createModelFolders } from '../../../lib/static-models.js'

const folders = createModelFolders()
afterAll(() => folders.remove())

async function cosines(embedder: Embedder, texts: readonly string[]): Promise<number[]> {
  const { vectors, failed } = await embedder.embed(texts, { kind: 'passage' })
  expect(failed).toEqual([])
  const row = (i: number) => vectors.subarray(i * embedder.dimensions, (i + 1) * embedder.dimensions)
  return texts.flatMap((_, i) =>
    Array.from({ length: i }, (_, j) => row(i).reduce((sum, value, k) => sum + value * row(j)[k]!, 0)),
  )
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const centred = (values: readonly number[]) => values.map((value) => value - mean(values))
  const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0)
  const [x, y] = [centred(a), centred(b)]
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y))
}

describe('a transformer as the teacher', () => {
  const model = modelFolder()

  // Its weights are random, made so that a text is near to the sum of its words: this tests the way, not the quality of any model.
  it('is opened, asked, closed, and its own vocabulary distilled', async () => {
    const out = join(folders.root, 'student')
    const report = await distillStatic({ model, workers: 1 }, { out, sifCoefficient: 0 })
    expect(report.failed).toBe(0)
    expect(report.tokens).toBeGreaterThan(1_000)

    const random = randomNumbers(1)
    const word = () => commonWords[Math.floor(random() * commonWords.length)]
    const texts = Array.from({ length: 60 }, () => Array.from({ length: 8 }, word).join(' '))
    const teacher = await createOnnxEmbedder({ model, workers: 1 })
    const student = await createStaticEmbedder({ model: out, workers: 1 })
    const [theirs, ours] = [await cosines(teacher, texts), await cosines(student, texts)]
    await Promise.all([teacher.close(), student.close()])
    expect(correlation(theirs, ours)).toBeGreaterThan(0.6)
  })

  it('is distilled by the built command', () => {
    const root = fileURLToPath(new URL('../../../..', import.meta.url))
    const out = join(folders.root, 'by-command')
    const line = ['distill', '--model', model, '--out', out, '--dimensions', '16', '--json']
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'dist/cli.js'), ...line], {
      encoding: 'utf8',
    })
    expect([status, stderr]).toEqual([0, ''])
    expect(JSON.parse(stdout)).toMatchObject({ directory: out, dimensions: 16, failed: 0 })
  })
})
