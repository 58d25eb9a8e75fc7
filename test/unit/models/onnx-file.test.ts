import { mkdirSync, symlinkSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { inspectOnnxFile, requireExternalData } from '../../../src/models/onnx-file.js'
import { randomNumbers } from '../../../src/testing/support.js'
import { field, message } from '../../fixtures/models/protobuf.js'
import { onnxFile, smallOnnxFile, temporaryFolder, writeFiles } from './support.js'

const folder = temporaryFolder()

function file(name: string, content: Buffer | string): string {
  return join(writeFiles(folder, { [name]: content }), name)
}

describe('an ONNX file', () => {
  it('is told to be whole by its frame', async () => {
    const bytes = smallOnnxFile()
    expect(await inspectOnnxFile(file('whole.onnx', bytes))).toEqual({ size: bytes.length, externalData: [] })
  })

  it('names the weights it keeps in other files, and how long these must be', async () => {
    const path = file(
      'outside.onnx',
      onnxFile([
        { name: 'a', location: 'outside.onnx_data', count: 4, offset: 16 },
        { name: 'b', values: new Float32Array(4) },
        { name: 'c', location: 'outside.onnx_data', count: 4 },
        { name: 'd', location: 'outside.onnx_data_1', count: 4 },
      ]),
    )
    const { externalData } = await inspectOnnxFile(path)
    expect(externalData).toEqual([
      { location: 'outside.onnx_data', leastBytes: 32 },
      { location: 'outside.onnx_data_1', leastBytes: 16 },
    ])
    await expect(requireExternalData(path, { size: 0, externalData })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      data: { file: join(folder, 'outside.onnx_data') },
    })
    writeFiles(folder, { 'outside.onnx_data': Buffer.alloc(31), 'outside.onnx_data_1': Buffer.alloc(16) })
    await expect(requireExternalData(path, { size: 0, externalData })).rejects.toMatchObject({
      code: 'INTEGRITY',
      data: { file: join(folder, 'outside.onnx_data') },
    })
    writeFiles(folder, { 'outside.onnx_data': Buffer.alloc(32) })
    expect(await requireExternalData(path, { size: 0, externalData })).toEqual(
      ['outside.onnx_data', 'outside.onnx_data_1'].map((name) => join(folder, name)),
    )
  })

  it('cut off anywhere is INTEGRITY that names it', async () => {
    const bytes = smallOnnxFile()
    const path = file('cut.onnx', bytes)
    for (let length = bytes.length - 1; length >= 0; length--) {
      truncateSync(path, length)
      await expect(inspectOnnxFile(path), `${length} of ${bytes.length} bytes`).rejects.toMatchObject({
        code: 'INTEGRITY',
        data: { file: path },
      })
    }
  })

  it.each([
    ['a page of HTML', '<!DOCTYPE html><html><body>Not found</body></html>'],
    ['JSON', '{"error":"Repository not found"}'],
    ['zeros', Buffer.alloc(1000)],
    ['numbers without end', Buffer.alloc(1000, 0xff)],
  ])('that is %s is INTEGRITY', async (name, content) => {
    await expect(inspectOnnxFile(file(`${name}.onnx`, content))).rejects.toMatchObject({ code: 'INTEGRITY' })
  })

  it('of any bytes is told or refused, never anything else', async () => {
    const random = randomNumbers(7)
    const sound = smallOnnxFile()
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.from(sound)
      for (let change = 0; change < 3; change++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
      const result = await inspectOnnxFile(file('random.onnx', bytes)).catch((error) => error)
      expect(['INTEGRITY', undefined]).toContain(result.code)
    }
  })

  it('that is a Git LFS pointer is INTEGRITY, with the way to the real file', async () => {
    const path = file('pointer.onnx', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 90000000\n')
    await expect(inspectOnnxFile(path)).rejects.toMatchObject({
      code: 'INTEGRITY',
      message: expect.stringContaining('Git LFS pointer'),
      hint: expect.stringContaining('git lfs pull'),
    })
  })

  it.each(['../secret', '/etc/passwd', 'a/../../b', '..\\secret', '.'])(
    'may not refer to weights at %s',
    async (location) => {
      const path = file('escape.onnx', onnxFile([{ name: 'a', location, count: 4 }]))
      const inspected = await inspectOnnxFile(path)
      await expect(requireExternalData(path, inspected)).rejects.toMatchObject({
        code: 'INTEGRITY',
        message: expect.stringContaining('outside its folder'),
      })
    },
  )

  it('with weights outside is loaded by the runtime through the links of the hub cache', async () => {
    const values = Float32Array.from({ length: 4 }, (_, index) => index)
    const snapshot = join(folder, 'hub/snapshots/c/onnx')
    writeFiles(folder, {
      'hub/blobs/aa': onnxFile([{ name: 'w', location: 'model.onnx_data', count: 4 }]),
      'hub/blobs/bb': Buffer.from(values.buffer),
    })
    mkdirSync(snapshot, { recursive: true })
    symlinkSync('../../../blobs/aa', join(snapshot, 'model.onnx'))
    symlinkSync('../../../blobs/bb', join(snapshot, 'model.onnx_data'))
    const path = join(snapshot, 'model.onnx')
    expect(await requireExternalData(path, await inspectOnnxFile(path))).toEqual([join(snapshot, 'model.onnx_data')])

    const session = await ort.InferenceSession.create(path)
    const { y } = await session.run({ x: new ort.Tensor('float32', new Float32Array(4).fill(10), [4]) })
    expect(y?.data).toEqual(Float32Array.of(10, 11, 12, 13))
    await session.release()
  })

  it('of three gigabytes is walked through without reading them', async () => {
    const bytes = 3 * 2 ** 30
    // Model { opset, graph { initializer { raw_data } } }: only the beginning is written, the rest is a hole.
    const hole = { byteLength: bytes, pieces: [] }
    const start = Buffer.concat(message(field(8, ''), field(7, field(5, field(9, hole)))).pieces)
    const path = file('large.onnx', start)
    truncateSync(path, start.length + bytes)
    expect(await inspectOnnxFile(path)).toEqual({ size: start.length + bytes, externalData: [] })
    truncateSync(path, start.length + bytes - 1)
    await expect(inspectOnnxFile(path)).rejects.toMatchObject({ code: 'INTEGRITY' })
  })
})
