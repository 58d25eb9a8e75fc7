import { describe, expect, it } from 'vitest'
import { createSentenceModel, type SentenceModelOptions } from '../../../../src/embed/onnx/sentence-model.js'
import type { Session, TensorInfo } from '../../../../src/onnx/session.js'
import { toFloat16 } from '../../../fixtures/models/number-formats.js'

interface FakeTensor {
  readonly type: string
  readonly data: ArrayLike<number | bigint>
  readonly dims: readonly number[]
}

const ints = (...names: string[]): TensorInfo[] =>
  names.map((name) => ({ name, type: 'int64', shape: ['batch', 'sequence'] }))
const usual = ints('input_ids', 'attention_mask', 'token_type_ids')
const tokensOutput: TensorInfo = { name: 'last_hidden_state', type: 'float32', shape: ['batch', 'sequence', 2] }
const sentenceOutput: TensorInfo = { name: 'sentence_embedding', type: 'float32', shape: ['batch', 2] }

/** A model that gives every token the vector (its id, 1), and keeps what it was fed. */
function fakeSession({ inputs = usual, outputs = [tokensOutput] as readonly TensorInfo[], hidden = 2 } = {}) {
  const fed: Record<string, FakeTensor>[] = []
  const asked: string[] = []
  class Tensor implements FakeTensor {
    constructor(
      readonly type: string,
      readonly data: ArrayLike<number | bigint>,
      readonly dims: readonly number[],
    ) {}
  }
  const session = {
    inputs,
    outputs,
    Tensor,
    async run(feeds: Record<string, FakeTensor>, output: string) {
      // A copy: the memory is used again.
      fed.push(
        Object.fromEntries(
          Object.entries(feeds).map(([name, { type, data, dims }]) => [
            name,
            { type, dims, data: Array.from(data, Number) },
          ]),
        ),
      )
      asked.push(output)
      const { data, dims } = feeds.input_ids as FakeTensor
      const { type, shape } = outputs.find(({ name }) => name === output) as TensorInfo
      const [rows, sequence] = dims as [number, number]
      const ids = Array.from(data, Number)
      const firsts = shape?.length === 2 ? ids.filter((_, place) => place % sequence === 0) : ids
      const values = Float32Array.from(firsts.flatMap((id) => [id, ...new Array(hidden - 1).fill(1)]))
      const outDims = shape?.length === 2 ? [rows, hidden] : [rows, sequence, hidden]
      return { type, data: type === 'float16' ? toFloat16(values) : values, dims: outDims }
    },
    release: async () => {},
  }
  return { session: session as unknown as Session, fed, asked }
}

const options = (model: Partial<SentenceModelOptions['model']> = {}, dimensions = 2): SentenceModelOptions => ({
  model: { name: 'm', weights: '/models/m/model.onnx', pooling: 'mean', dimensions: 2, ...model },
  dimensions,
  paddingId: 9,
})
const batch = (...rows: number[][]) => ({
  ids: Int32Array.from(rows.flat()),
  offsets: Int32Array.from([0, ...rows.map((_, i) => rows.slice(0, i + 1).flat().length)]),
})
const unit = (x: number, y: number) => [x / Math.hypot(x, y), y / Math.hypot(x, y)].map(Math.fround)

describe('inputs', () => {
  it('are filled up at their end, masked there, and typed as the graph wants them', async () => {
    const { session, fed } = fakeSession()
    const model = createSentenceModel(session, options())
    await model.run(batch([5, 6, 7], [8]))
    const dims = [2, 3]
    expect(fed[0]).toEqual({
      input_ids: { type: 'int64', dims, data: [5, 6, 7, 8, 9, 9] },
      attention_mask: { type: 'int64', dims, data: [1, 1, 1, 1, 0, 0] },
      token_type_ids: { type: 'int64', dims, data: [0, 0, 0, 0, 0, 0] },
    })
  })

  it('hold nothing of the batch before', async () => {
    const { session, fed } = fakeSession()
    const model = createSentenceModel(session, options())
    await model.run(batch([1, 2, 3, 4, 5, 6, 7], [1, 2, 3]))
    await model.run(batch([8], [7, 6]))
    expect(fed[1]?.input_ids?.data).toEqual([8, 9, 7, 6])
    expect(fed[1]?.attention_mask?.data).toEqual([1, 0, 1, 1])
    await model.run(batch(Array.from({ length: 300 }, (_, id) => id)))
    expect(fed[2]?.input_ids?.data).toEqual(Array.from({ length: 300 }, (_, id) => id))
  })

  it('are only those that the graph has, positions and 32-bit ones included', async () => {
    const int32 = (name: string): TensorInfo => ({ name, type: 'int32', shape: ['b', 's'] })
    const { session, fed } = fakeSession({ inputs: [int32('input_ids'), int32('position_ids')] })
    await createSentenceModel(session, options()).run(batch([5, 6], [7]))
    expect(fed[0]).toEqual({
      input_ids: { type: 'int32', dims: [2, 2], data: [5, 6, 7, 9] },
      position_ids: { type: 'int32', dims: [2, 2], data: [0, 1, 0, 1] },
    })
  })

  it('that are not known are refused, and a graph without token ids is no such model', () => {
    const pixels = fakeSession({ inputs: [{ name: 'pixel_values', type: 'float32', shape: [1, 3, 224, 224] }] })
    expect(() => createSentenceModel(pixels.session, options())).toThrow(
      expect.objectContaining({ code: 'INTEGRITY', data: { file: '/models/m/model.onnx', inputs: ['pixel_values'] } }),
    )
    const past = fakeSession({ inputs: [...usual, ...ints('past_key_values.0.key')] })
    expect(() => createSentenceModel(past.session, options())).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
  })
})

describe('outputs', () => {
  it('of tokens are pooled here, and nothing else is asked of the model', async () => {
    const pooler: TensorInfo = { name: 'pooler_output', type: 'float32', shape: ['batch', 2] }
    const { session, asked } = fakeSession({ outputs: [pooler, sentenceOutput, tokensOutput] })
    const { vectors, unusable } = await createSentenceModel(session, options()).run(batch([2, 4], [1]))
    expect([...vectors]).toEqual([...unit(3, 1), ...unit(1, 1)])
    expect(unusable).toEqual([])
    expect(asked).toEqual(['last_hidden_state'])
  })

  it('of sentences are taken as they are when there are no others, or when they are asked for', async () => {
    const only = fakeSession({ outputs: [sentenceOutput] })
    const { vectors } = await createSentenceModel(only.session, options({ pooling: 'mean' })).run(batch([2, 4], [5]))
    expect([...vectors]).toEqual([...unit(2, 1), ...unit(5, 1)])
    const both = fakeSession({ outputs: [tokensOutput, sentenceOutput] })
    await createSentenceModel(both.session, options({ pooling: 'none' })).run(batch([1]))
    expect(both.asked).toEqual(['sentence_embedding'])
  })

  it('in 16 bits are read', async () => {
    const { session } = fakeSession({ outputs: [{ ...tokensOutput, type: 'float16' }] })
    const { vectors } = await createSentenceModel(session, options()).run(batch([2, 4]))
    expect([...vectors]).toEqual(unit(3, 1))
  })

  it('are cut to the dimensions asked for, and of unit length again', async () => {
    const { session } = fakeSession({ outputs: [{ ...tokensOutput, shape: ['b', 's', 4] }], hidden: 4 })
    const { vectors } = await createSentenceModel(session, options({ dimensions: 4 }, 2)).run(batch([3], [4]))
    expect([...vectors]).toEqual([...unit(3, 1), ...unit(4, 1)])
  })

  it('that do not fit the settings are INTEGRITY and name the file, as soon as that is known', async () => {
    const declared = fakeSession({ outputs: [{ ...tokensOutput, shape: ['b', 's', 768] }] })
    const wrong = { code: 'INTEGRITY', data: { file: '/models/m/model.onnx', width: 768, dimensions: 2 } }
    expect(() => createSentenceModel(declared.session, options())).toThrow(expect.objectContaining(wrong))
    const open = fakeSession({ outputs: [{ ...tokensOutput, shape: ['b', 's', 'h'] }], hidden: 3 })
    await expect(createSentenceModel(open.session, options()).run(batch([1]))).rejects.toMatchObject({
      code: 'INTEGRITY',
    })
  })

  it.each([
    [{ name: 'classes', type: 'int64', shape: ['b', 2] }, 'mean'],
    [{ name: 'image', type: 'float32', shape: [1, 3, 8, 8] }, 'mean'],
    [tokensOutput, 'none'],
  ] as const)('that are no vectors are refused (%j, %s)', (output, pooling) => {
    const { session } = fakeSession({ outputs: [output] })
    expect(() => createSentenceModel(session, options({ pooling }))).toThrow(
      expect.objectContaining({ code: 'INTEGRITY' }),
    )
  })
})

describe('odd batches', () => {
  it('of nothing, or of rows without tokens, need no model', async () => {
    const { session, fed } = fakeSession()
    const model = createSentenceModel(session, options())
    expect(await model.run(batch())).toEqual({ vectors: new Float32Array(0), unusable: [] })
    expect(await model.run(batch([], []))).toEqual({ vectors: new Float32Array(4), unusable: [0, 1] })
    expect(fed).toEqual([])
  })

  it('with one row without tokens are run for the others', async () => {
    const { session } = fakeSession()
    const { vectors, unusable } = await createSentenceModel(session, options()).run(batch([], [3]))
    expect(unusable).toEqual([0])
    expect([...vectors]).toEqual([0, 0, ...unit(3, 1)])
  })
})
