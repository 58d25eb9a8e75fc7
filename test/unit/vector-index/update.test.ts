import { beforeEach, describe, expect, it } from 'vitest'
import { createTurns } from '../../../src/util/yield.js'
import { Stretches } from '../../../src/vector-index/stretches.js'
import { type Staged, Steps, Update } from '../../../src/vector-index/update.js'

const dimensions = 2

/** Numbers that were sealed; `without` leaves out what a range holds. */
type Sealed = readonly number[]

let sealing: { numbers: Sealed; resolve: () => void; reject: (error: Error) => void }[]
let published: { sealed: readonly Sealed[]; last: Sealed }[]
let discarded: Sealed[]
let update: Update<Sealed>

beforeEach(() => {
  sealing = []
  published = []
  discarded = []
  const steps = new Steps()
  const stretches = (check: () => void) => new Stretches(createTurns(), check)
  update = new Update<Sealed>({
    dimensions,
    sealRows: 3,
    enqueue: (step, check) => steps.run(() => step(stretches(check))),
    seal: ({ numbers, count }) =>
      new Promise((resolve, reject) => {
        const own = [...numbers.subarray(0, count)]
        sealing.push({ numbers: own, resolve: () => resolve(own), reject })
      }),
    without: (sealed, ranges) =>
      sealed.filter((number) => ![...ranges].some(([start, end]) => number >= start && number < end)),
    discard: (sealed) => void discarded.push(...sealed),
    publish: async ({ sealed, view }: Staged<Sealed>) =>
      void published.push({ sealed, last: [...view.numbers.subarray(0, view.count)] }),
    ended: () => {},
  })
})

const add = (...numbers: number[]) => update.add(numbers, new Float32Array(numbers.length * dimensions).fill(1))
const turn = () => new Promise((resolve) => setTimeout(resolve, 5))

describe('an update', () => {
  it('takes more while rows are sealed, one seal at a time', async () => {
    await add(1, 2, 3)
    await add(4, 5)
    expect(sealing.map(({ numbers }) => numbers)).toEqual([[1, 2, 3]])
    const full = add(6)
    await turn()
    expect(sealing).toHaveLength(1)
    sealing[0]?.resolve()
    await full
    expect(sealing.map(({ numbers }) => numbers)).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ])
    await add(7)
    const done = update.publish(1)
    await turn()
    expect(published).toEqual([])
    sealing[1]?.resolve()
    await done
    expect(published).toEqual([
      {
        sealed: [
          [1, 2, 3],
          [4, 5, 6],
        ],
        last: [7],
      },
    ])
  })

  it('removes what is on its way, and not what comes after', async () => {
    await add(1, 2, 3)
    update.remove([[2, 5]])
    const later = add(4)
    sealing[0]?.resolve()
    await later
    await update.publish(1)
    expect(published).toEqual([{ sealed: [[1]], last: [4] }])
  })

  it('publishes nothing when rows could not be sealed', async () => {
    await add(1, 2, 3)
    await add(4)
    sealing[0]?.reject(new Error('The disk is full.'))
    await turn()
    await expect(update.publish(1)).rejects.toThrow('The disk is full.')
    expect([published, discarded]).toEqual([[], []])
  })

  it('tells who adds of rows that could not be sealed', async () => {
    await add(1, 2, 3)
    sealing[0]?.reject(new Error('The disk is full.'))
    await expect(add(4, 5, 6)).rejects.toThrow('The disk is full.')
    update.abort()
    await turn()
    expect(published).toEqual([])
  })

  it('frees what was on its way when it is given up', async () => {
    await add(1, 2, 3)
    update.abort()
    await turn()
    expect(discarded).toEqual([])
    sealing[0]?.resolve()
    await turn()
    expect(discarded).toEqual([[1, 2, 3]])
  })
})
