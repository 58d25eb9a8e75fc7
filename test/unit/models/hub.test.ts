import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, it } from 'vitest'
import { type EmbeddingModelRequest, openEmbeddingModel } from '../../../src/models/describe.js'
import type { PullProgress } from '../../../src/models/hub.js'
import type { HubPatience } from '../../../src/models/hub-client.js'
import { locateStaticModel } from '../../../src/models/needs.js'
import type { PullOptions } from '../../../src/models/pull.js'
import { type PullSurroundings, pull } from '../../../src/models/pull-model.js'
import { randomNumbers } from '../../../src/testing/support.js'
import { inSoak } from '../../lib/soak.js'
import { gitHash, type HubFiles, type HubServer, type SeenRequest, startHub } from './hub-server.js'
import { bertFiles, onnxFile, smallOnnxFile, temporaryFolder, warnings } from './support.js'

const root = temporaryFolder()
const hub: HubServer = await startHub()
const id = 'acme/tiny'
const commit = 'ab'.repeat(20)
/** As long as tests want to wait for what would take minutes. */
const patience: Partial<HubPatience> = { attempts: 3, baseDelayMs: 5, stallMs: 20_000, staleMs: 20_000, pollMs: 10 }
const processor = { arch: 'x64', vnni: false }
const random = randomNumbers(3)

let homes = 0
let home = ''
let weights: Buffer
beforeEach(() => {
  home = join(root, `home-${homes++}`)
  weights = onnxFile([{ name: 'w', values: Float32Array.from({ length: 100_000 }, random) }])
  hub.models.clear()
  hub.seen.length = 0
  Object.assign(hub, { fault: undefined, bytesPerSecond: Number.POSITIVE_INFINITY, ranges: true, pageSize: 1000 })
  publish({})
})

/** Puts a small BERT on the hub, with more or other files. */
function publish(files: Readonly<Record<string, unknown>>, name = id): void {
  const pooling = { pooling_mode: 'cls' }
  const all = {
    ...bertFiles(),
    '1_Pooling/config.json': pooling,
    'onnx/model.onnx': weights,
    'README.md': 'read',
    ...files,
  }
  const present = Object.entries(all).filter(([, content]) => content !== undefined)
  const contents = present.map(([path, content]) => [path, toBuffer(content)])
  hub.models.set(name, { commit, files: Object.fromEntries(contents) as HubFiles })
}

function toBuffer(content: unknown): Buffer {
  if (Buffer.isBuffer(content)) return content
  return Buffer.from(typeof content === 'string' ? content : JSON.stringify(content))
}

const environment = (more = {}) => ({ HF_ENDPOINT: hub.endpoint, HF_HOME: home, ...more })
const open = (model = id, options: Partial<EmbeddingModelRequest> = {}) =>
  openEmbeddingModel({ model, environment: environment(), patience, processor, ...options })
const fetchTiny = (options: PullOptions = {}, surroundings: PullSurroundings = {}) =>
  pull(id, options, { environment: environment(), patience, processor, ...surroundings })
const repository = (name = id) => join(home, 'hub', `models--${name.replace('/', '--')}`)
const snapshot = () => join(repository(), 'snapshots', commit)
const blobs = () => readdirSync(join(repository(), 'blobs'))
const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex')
/** Comparing buffers byte by byte takes the test runner seconds. */
const expectSame = (path: string) => expect(sha256(readFileSync(path))).toBe(sha256(weights))
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail('it succeeded'),
    (error) => error,
  )

describe('a model from the hub', () => {
  it('is fetched when it is first opened, and afterwards found without the hub', async () => {
    const model = await open()
    expect(model).toMatchObject({ name: id, directory: snapshot(), pooling: 'cls', quantization: 'fp32' })
    expectSame(model.weights)
    hub.seen.length = 0
    expect(await open()).toEqual(model)
    expect(hub.seen).toEqual([])
    hub.models.clear()
    expect(await open(id, { environment: environment({ HF_HUB_OFFLINE: '1' }) })).toEqual(model)
  })

  it('is fetched without what is not needed', async () => {
    publish({
      'model.safetensors': 'x',
      'onnx/model_fp16.onnx': 'x',
      'tokenizer_config.json': '{}',
      'modules.json': '[]',
      'vocab.txt': 'x',
    })
    await fetchTiny()
    const listed = readdirSync(snapshot(), { recursive: true, withFileTypes: true })
    expect(
      listed
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name).slice(snapshot().length + 1))
        .sort(),
    ).toEqual([
      '1_Pooling/config.json',
      'config.json',
      'modules.json',
      'onnx/model.onnx',
      'tokenizer.json',
      'tokenizer_config.json',
    ])
  })

  it('lies in the layout that huggingface_hub of Python reads', async () => {
    await fetchTiny()
    const config = hub.models.get(id)?.files['config.json'] as Buffer
    expect(readFileSync(join(repository(), 'refs/main'), 'utf8')).toBe(commit)
    expect(readlinkSync(join(snapshot(), 'onnx/model.onnx'))).toBe(`../../../blobs/${sha256(weights)}`)
    expect(readlinkSync(join(snapshot(), 'config.json'))).toBe(`../../blobs/${gitHash(config)}`)
    expect(readlinkSync(join(snapshot(), '1_Pooling/config.json'))).toMatch(/^\.\.\/\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/)
    expect(blobs().filter((name) => !/^[0-9a-f]+$/.test(name))).toEqual([])
  })

  it('whose list of files has pages is fetched whole', async () => {
    hub.pageSize = 2
    expect((await fetchTiny()).bytes).toBe(weights.length)
  })

  it('comes with the weights that its ONNX file keeps elsewhere, whatever their names', async () => {
    const graph = onnxFile([
      { name: 'w', location: 'weights.bin', count: 1000 },
      { name: 'v', location: 'model.onnx_data', count: 10 },
    ])
    publish({
      'onnx/model.onnx': graph,
      'onnx/weights.bin': Buffer.alloc(4000, 7),
      'onnx/model.onnx_data': Buffer.alloc(40),
      'weights.bin': 'no',
    })
    const { bytes } = await fetchTiny()
    expect(bytes).toBe(graph.length + 4040)
    expect(readFileSync(join(snapshot(), 'onnx/weights.bin'))).toEqual(Buffer.alloc(4000, 7))
    const opened = await open()
    rmSync(join(snapshot(), 'onnx/weights.bin'))
    hub.seen.length = 0
    expect(await open(), 'missing weights are fetched again').toEqual(opened)
    expect(hub.filesSeen()).toEqual([])
  })

  it('that refers to weights it was published without is NOT_FOUND', async () => {
    publish({ 'onnx/model.onnx': onnxFile([{ name: 'w', location: 'model.onnx_data', count: 1000 }]) })
    expect(await failure(fetchTiny())).toMatchObject({ code: 'NOT_FOUND', data: { file: 'onnx/model.onnx_data' } })
    expect(existsSync(join(repository(), 'refs/main'))).toBe(false)
  })

  it('that cannot be used is refused before its weights are fetched', async () => {
    publish({
      'modules.json': [{ type: 'x.Transformer' }, { type: 'x.Pooling', path: '1_Pooling' }, { type: 'x.Dense' }],
    })
    expect(await failure(open())).toMatchObject({ code: 'UNSUPPORTED' })
    expect(hub.filesSeen('onnx/model.onnx')).toEqual([])
  })

  it('is fetched at the commit that was asked for', async () => {
    expect((await fetchTiny({ revision: commit })).directory).toBe(snapshot())
    expect(existsSync(join(repository(), 'refs'))).toBe(false)
    expect(await failure(fetchTiny({ revision: 'v9' }))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('"v9"'),
    })
    expect(await failure(fetchTiny({ revision: '../../etc' }))).toMatchObject({ code: 'BAD_OPTION' })
  })

  it('that has changed is fetched anew by a pull, as far as it has changed', async () => {
    await fetchTiny()
    const newCommit = 'cd'.repeat(20)
    const { files } = hub.models.get(id) as { files: HubFiles }
    hub.models.set(id, { commit: newCommit, files: { ...files, 'tokenizer.json': Buffer.from('{"new":1}') } })
    hub.seen.length = 0
    expect((await open()).directory).toBe(snapshot())
    expect(hub.seen).toEqual([])
    expect((await fetchTiny()).directory).toBe(join(repository(), 'snapshots', newCommit))
    expect(hub.filesSeen().map(({ path }) => path.split('/').at(-1))).toEqual(['tokenizer.json'])
    expect((await open()).directory).toBe(join(repository(), 'snapshots', newCommit))
  })

  it('tells how the download goes on, from what is there to all of it', async () => {
    const told: PullProgress[] = []
    await fetchTiny({ onProgress: (progress) => told.push(progress) })
    const received = told.map(({ receivedBytes }) => receivedBytes)
    expect(received).toEqual([...received].sort((a, b) => a - b))
    const last = told.at(-1)
    expect(last?.receivedBytes).toBe(last?.totalBytes)
    expect(last?.file).toBe('onnx/model.onnx')
    expect(told.length).toBeGreaterThan(5)
    told.length = 0
    await fetchTiny({ onProgress: (progress) => told.push(progress) })
    expect(told.at(-1)).toMatchObject({ receivedBytes: last?.totalBytes, totalBytes: last?.totalBytes })
  })
})

describe('the precision of a model from the hub', () => {
  it('is that of a mirror, when only that has it', async () => {
    publish({ ...bertFiles({ hidden_size: 384 }) }, 'thenlper/gte-small')
    publish({ ...bertFiles({ hidden_size: 384 }), 'onnx/model_quantized.onnx': smallOnnxFile(8) }, 'Xenova/gte-small')
    const model = await open('gte-small', { quantization: 'int8' })
    expect(model).toMatchObject({ name: 'thenlper/gte-small', quantization: 'int8', pooling: 'mean' })
    expect(model.directory).toContain('models--Xenova--gte-small')
    hub.seen.length = 0
    expect(await open('thenlper/gte-small', { quantization: 'int8' })).toEqual(model)
    expect(hub.seen).toEqual([])
  })

  it('that nobody has is replaced with a warning, and the hub is not asked again', async () => {
    const { logger, messages } = warnings()
    expect((await open(id, { quantization: 'int8', logger })).quantization).toBe('fp32')
    expect(messages).toEqual([expect.stringContaining('has no int8 weights; fp32 is used')])
    hub.seen.length = 0
    expect((await open(id, { quantization: 'int8' })).quantization).toBe('fp32')
    expect(hub.seen).toEqual([])
  })

  it('is fetched when only another is here, as after use from Python', async () => {
    await fetchTiny()
    publish({ 'onnx/model_int8.onnx': smallOnnxFile(5) })
    expect((await open(id, { quantization: 'int8' })).quantization).toBe('int8')
    expect(hub.filesSeen().map(({ path }) => path.split('/').at(-1))).toContain('model_int8.onnx')
  })

  it('that is not here is replaced by one that is, when the hub is out of reach', async () => {
    await fetchTiny()
    const { logger, messages } = warnings()
    hub.fault = (_, response) => response.destroy() !== undefined
    expect((await open(id, { quantization: 'int8', logger })).quantization).toBe('fp32')
    expect(messages).toEqual([expect.stringContaining('cannot be asked'), expect.stringContaining('fp32 is used')])
  })

  it('of a mirror that is gone is nobody to wait for', async () => {
    publish({ ...bertFiles({ hidden_size: 384 }) }, 'thenlper/gte-small')
    expect((await open('gte-small', { quantization: 'int8' })).quantization).toBe('fp32')
  })
})

describe('a model of another kind', () => {
  const table = safetensors(new Float32Array(64))

  it('that is static is fetched as such, also when nothing is known of it', async () => {
    publish({ 'config.json': { model_type: 'model2vec' }, 'model.safetensors': table })
    expect(await fetchTiny()).toEqual({
      model: id,
      kind: 'static',
      directory: snapshot(),
      weights: join(snapshot(), 'model.safetensors'),
      bytes: table.length,
    })
    expect(hub.filesSeen('onnx/model.onnx')).toEqual([])
    publish({ 'config.json': { model_type: 'model2vec' }, 'model.safetensors': table }, 'minishlab/potion-base-8M')
    expect((await pull('potion-base-8M', {}, { environment: environment(), patience })).kind).toBe('static')
  })

  it('that is static with a folder for each step is fetched with its tokenizer', async () => {
    const modules = [{ path: '0_StaticEmbedding', type: 'sentence_transformers.models.StaticEmbedding' }]
    publish({
      'config.json': undefined,
      'tokenizer.json': undefined,
      'modules.json': modules,
      '0_StaticEmbedding/model.safetensors': table,
      '0_StaticEmbedding/tokenizer.json': '{"a":1}',
    })
    const { kind, weights: path } = await fetchTiny()
    expect([kind, path]).toEqual(['static', join(snapshot(), '0_StaticEmbedding/model.safetensors')])
    expect(readFileSync(join(snapshot(), '0_StaticEmbedding/tokenizer.json'), 'utf8')).toBe('{"a":1}')
  })

  it('that is static but has no tokenizer is NOT_FOUND, which names it', async () => {
    publish({ 'config.json': { model_type: 'model2vec' }, 'tokenizer.json': undefined, 'model.safetensors': table })
    expect(await failure(fetchTiny())).toMatchObject({ code: 'NOT_FOUND', data: { file: 'tokenizer.json' } })
  })

  it('that was asked for as a static one is refused before its weights are fetched', async () => {
    publish({ 'model.safetensors': table })
    const request = { model: id, environment: environment(), patience }
    expect(await failure(locateStaticModel(request))).toMatchObject({ code: 'UNSUPPORTED' })
    expect(hub.filesSeen('model.safetensors')).toEqual([])
  })

  it('that is a reranker is fetched like a transformer', async () => {
    publish({ 'onnx/model_quantized.onnx': smallOnnxFile() }, 'cross-encoder/ms-marco-MiniLM-L6-v2')
    const fetched = await pull(
      'ms-marco-MiniLM-L6-v2',
      { quantization: 'int8' },
      { environment: environment(), patience, processor },
    )
    expect(fetched).toMatchObject({
      kind: 'reranker',
      quantization: 'int8',
      model: 'cross-encoder/ms-marco-MiniLM-L6-v2',
    })
  })

  it('without ONNX files is NOT_FOUND with what it has', async () => {
    publish({ 'onnx/model.onnx': undefined, 'model.safetensors': 'x' })
    expect(await failure(fetchTiny())).toMatchObject({
      code: 'NOT_FOUND',
      data: { found: ['model.safetensors'] },
      hint: expect.stringContaining('optimum-cli'),
    })
  })
})

describe('a connection', () => {
  /** Cuts a file after so many bytes, as often as told. */
  function cut(file: string, times: number, after = 5000): SeenRequest[] {
    const cuts: SeenRequest[] = []
    hub.fault = (seen, response) => {
      if (seen.host !== 'storage' || !seen.path.endsWith(file) || cuts.length >= times) return false
      cuts.push(seen)
      const start = Number(seen.range?.slice(6, -1) ?? 0)
      response.writeHead(start > 0 ? 206 : 200, {
        'content-length': weights.length - start,
        'content-range': `bytes ${start}-${weights.length - 1}/${weights.length}`,
      })
      response.write(weights.subarray(start, start + after), () => setTimeout(() => response.destroy(), 30))
      return true
    }
    return cuts
  }

  it('that breaks again and again is taken up where it broke', async () => {
    const cuts = cut('model.onnx', 8)
    await fetchTiny()
    expectSame(join(snapshot(), 'onnx/model.onnx'))
    const ranges = hub
      .filesSeen('onnx/model.onnx')
      .filter(({ host }) => host === 'storage')
      .map(({ range }) => range)
    expect(cuts).toHaveLength(8)
    expect(ranges).toEqual([undefined, ...Array.from({ length: 8 }, (_, index) => `bytes=${5000 * (index + 1)}-`)])
  })

  it('to a server without ranges begins again', async () => {
    hub.ranges = false
    hub.fault = (seen, response) => {
      if (seen.host !== 'storage' || hub.filesSeen('onnx/model.onnx').length > 3) return false
      response.writeHead(200, { 'content-length': weights.length })
      response.write(weights.subarray(0, 5000), () => setTimeout(() => response.destroy(), 30))
      return true
    }
    await fetchTiny()
    expectSame(join(snapshot(), 'onnx/model.onnx'))
  })

  it('that brings nothing at all any more is given up as out of reach, and what came is kept', async () => {
    cut('model.onnx', 1)
    const first = hub.fault
    hub.fault = (seen, response) =>
      first?.(seen, response) || (seen.host === 'storage' && response.destroy() !== undefined)
    expect(await failure(fetchTiny())).toMatchObject({
      code: 'PROVIDER',
      retryable: true,
      message: expect.stringContaining('cannot be reached'),
    })
    hub.fault = undefined
    hub.seen.length = 0
    await fetchTiny()
    expect(hub.filesSeen('onnx/model.onnx').map(({ range }) => range)).toEqual(['bytes=5000-', 'bytes=5000-'])
    expect(blobs().filter((name) => name.includes('incomplete'))).toEqual([])
  })

  it('that falls silent is dropped and made again', async () => {
    let silenced = 0
    hub.fault = (seen, response) => {
      if (seen.host !== 'storage' || silenced++ > 0) return false
      response.writeHead(200, { 'content-length': weights.length })
      response.write(weights.subarray(0, 3000))
      return true
    }
    await fetchTiny({}, { patience: { ...patience, attempts: 5, stallMs: 1000 } })
    expect(hub.filesSeen('onnx/model.onnx').at(-1)?.range).toBe('bytes=3000-')
  })

  inSoak('that is slow is waited for as long as bytes come', async () => {
    hub.bytesPerSecond = 200_000
    await fetchTiny({}, { patience: { ...patience, stallMs: 1500 } })
    expect(hub.filesSeen('onnx/model.onnx')).toHaveLength(2)
  })

  it.each([429, 500, 503])('answered with %i is tried again', async (status) => {
    let answers = 0
    hub.fault = (seen, response) => {
      if (answers >= 4 || seen.path.endsWith('onnx/model.onnx') !== answers > 1) return false
      answers++
      response.writeHead(status, { 'retry-after': '0' }).end()
      return true
    }
    await fetchTiny()
    expect(answers).toBe(4)
  })

  it('answered with 429 for long is PROVIDER, with the time to wait', async () => {
    hub.fault = (_, response) => {
      response.writeHead(429, { 'retry-after': '300' }).end()
      return true
    }
    expect(await failure(fetchTiny())).toMatchObject({
      code: 'PROVIDER',
      retryable: true,
      data: { status: 429, afterMs: 300_000, model: id },
      hint: expect.stringMatching(/300 seconds.*HF_TOKEN/),
    })
    expect(hub.seen).toHaveLength(1)
  })

  it('that leads to another host does not take the token along', async () => {
    await fetchTiny({}, { environment: environment({ HF_TOKEN: 'secret' }) })
    const tokens = (host: string) =>
      new Set(hub.seen.filter((one) => one.host === host).map(({ authorization }) => authorization))
    expect(tokens('hub')).toEqual(new Set(['Bearer secret']))
    expect(tokens('storage')).toEqual(new Set([undefined]))
  })

  it('uses the token that logging in has left, unless told not to', async () => {
    mkdirSync(home, { recursive: true })
    writeFileSync(join(home, 'token'), 'hf_login\n')
    await fetchTiny()
    expect(hub.seen[0]?.authorization).toBe('Bearer hf_login')
    hub.seen.length = 0
    await fetchTiny({}, { environment: environment({ HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }) })
    expect(hub.seen[0]?.authorization).toBeUndefined()
  })
})

describe('bytes', () => {
  it.each(['onnx/model.onnx', 'config.json'])(
    'of %s that are not what was announced are INTEGRITY, after a second try, and leave nothing',
    async (file) => {
      let sent = 0
      hub.fault = (seen, response) => {
        const announced = hub.models.get(id)?.files[file] as Buffer
        const host = announced.length > 1024 ? 'storage' : 'hub'
        if (seen.host !== host || !seen.path.endsWith(`/resolve/${commit}/${file}`)) return false
        sent++
        response.end(Buffer.alloc(announced.length))
        return true
      }
      const error = await failure(fetchTiny())
      expect(error).toMatchObject({ code: 'INTEGRITY', data: { file }, message: expect.stringContaining(file) })
      expect(sent).toBe(2)
      expect(blobs().filter((name) => name.includes('incomplete'))).toEqual([])
      expect(existsSync(join(snapshot(), file))).toBe(false)
      expect(existsSync(join(repository(), 'refs/main'))).toBe(false)
    },
  )

  it.each([
    ['too few', (content: Buffer) => content.subarray(0, 900)],
    ['too many', (content: Buffer) => Buffer.concat([content, content])],
  ])('that are %s are INTEGRITY, not taken for the file', async (_, change) => {
    hub.fault = (seen, response) => {
      if (seen.host !== 'storage') return false
      response.end(change(weights))
      return true
    }
    expect(await failure(fetchTiny())).toMatchObject({ code: 'INTEGRITY', data: { file: 'onnx/model.onnx' } })
  })

  it('that a mirror lists without their hashes are not fetched', async () => {
    hub.fault = (seen, response) => {
      if (!seen.path.includes('/tree/')) return false
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify([{ type: 'file', path: 'config.json', size: 3 }]))
      return true
    }
    expect(await failure(fetchTiny())).toMatchObject({
      code: 'PROVIDER',
      retryable: false,
      hint: expect.stringContaining('HF_ENDPOINT'),
    })
  })

  it('that were damaged in the cache are found and mended by a pull', async () => {
    await fetchTiny()
    const blob = join(repository(), 'blobs', sha256(weights))
    const damaged = Buffer.from(weights)
    damaged[50_000] = (damaged[50_000] as number) ^ 1
    writeFileSync(blob, damaged)
    await fetchTiny()
    expectSame(join(snapshot(), 'onnx/model.onnx'))
    truncateSync(blob, 1000)
    // A cut file is also mended by opening it.
    expectSame((await open()).weights)
  })
})

describe('several downloads at once', () => {
  const parts = () =>
    existsSync(join(repository(), 'blobs')) ? blobs().filter((name) => name.includes('incomplete')) : []

  it('fetch each file once', async () => {
    hub.bytesPerSecond = 2_000_000
    const all = await Promise.all(Array.from({ length: 5 }, () => fetchTiny()))
    expect(new Set(all.map(({ directory }) => directory)).size).toBe(1)
    expect(hub.filesSeen('onnx/model.onnx').filter(({ host }) => host === 'storage')).toHaveLength(1)
    expectSame(join(snapshot(), 'onnx/model.onnx'))
    expect(parts()).toEqual([])
  })

  it('go on when the one that fetches is aborted', async () => {
    hub.bytesPerSecond = 1_000_000
    const controller = new AbortController()
    const told: string[] = []
    const first = fetchTiny({
      signal: controller.signal,
      onProgress: ({ receivedBytes }) => receivedBytes > 100_000 && controller.abort(new Error('enough')),
    })
    const logger = { ...warnings().logger, info: (message: string) => told.push(message) }
    const others = [fetchTiny({ logger }), fetchTiny({ logger })]
    await expect(first).rejects.toThrow('enough')
    await Promise.all(others)
    expectSame(join(snapshot(), 'onnx/model.onnx'))
    expect(told.length).toBeGreaterThan(0)
  })

  inSoak('in processes wait for the one that fetches, and continue when it is killed', async () => {
    // So slow that it would take a minute.
    hub.bytesPerSecond = 7_000
    const first = startPull()
    await until(() => parts().some((name) => statSync(join(repository(), 'blobs', name)).size > 0))
    const second = startPull()
    await until(() => second.output().includes('waits'))
    hub.bytesPerSecond = Number.POSITIVE_INFINITY
    hub.seen.length = 0
    first.child.kill('SIGKILL')
    expect(await second.ended).toEqual({ code: 0, output: `waits\n${snapshot()}\n` })
    expectSame(join(snapshot(), 'onnx/model.onnx'))
    const ranges = hub.filesSeen('onnx/model.onnx').map(({ range }) => range)
    expect(ranges).toEqual([expect.stringMatching(/^bytes=[1-9]/), expect.stringMatching(/^bytes=[1-9]/)])
    expect(parts()).toEqual([])
  })

  it('take over from one on another machine that has fallen silent', async () => {
    mkdirSync(join(repository(), 'blobs'), { recursive: true })
    const part = join(repository(), 'blobs', `${sha256(weights)}.00000000000000000001.other-machine.1.0.incomplete`)
    writeFileSync(part, weights.subarray(0, 300_000))
    let asked = false
    hub.fault = () => {
      asked = true
      return false
    }
    const fetched = fetchTiny()
    await until(() => asked)
    expect(existsSync(part)).toBe(true)
    utimesSync(part, new Date(), new Date(Date.now() - 60_000))
    await fetched
    expect(hub.filesSeen('onnx/model.onnx').map(({ range }) => range)).toEqual(['bytes=300000-', 'bytes=300000-'])
  })

  it('begin again when what was left is damaged or too long', async () => {
    mkdirSync(join(repository(), 'blobs'), { recursive: true })
    const host = hostname().replace(/[^\w-]/g, '_')
    for (const left of [Buffer.alloc(1000), Buffer.concat([weights, weights])]) {
      rmSync(snapshot(), { recursive: true, force: true })
      rmSync(join(repository(), 'blobs', sha256(weights)), { force: true })
      writeFileSync(
        join(repository(), 'blobs', `${sha256(weights)}.00000000000000000001.${host}.${process.pid}.0.incomplete`),
        left,
      )
      await fetchTiny()
      expectSame(join(snapshot(), 'onnx/model.onnx'))
      expect(parts()).toEqual([])
    }
  })

  interface PullProcess {
    readonly child: ChildProcess
    output(): string
    readonly ended: Promise<{ readonly code: number | null; readonly output: string }>
  }

  function startPull(): PullProcess {
    const script = `
      const { pull } = await import(${JSON.stringify(fileURLToPath(new URL('../../../src/models/pull-model.ts', import.meta.url)))})
      const logger = { info: () => console.log('waits'), warn() {} }
      const { directory } = await pull(${JSON.stringify(id)}, { logger }, { environment: ${JSON.stringify(environment())}, patience: ${JSON.stringify(patience)} })
      console.log(directory)`
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout?.on('data', (text) => {
      output += text
    })
    const ended = new Promise<{ code: number | null; output: string }>((resolve) =>
      child.on('close', (code) => resolve({ code, output })),
    )
    return { child, ended, output: () => output }
  }

  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
  }
})

describe('a download', () => {
  it('stops when it is told to, and is continued by the next', async () => {
    const controller = new AbortController()
    hub.bytesPerSecond = 2_000_000
    const onProgress = ({ receivedBytes }: PullProgress) =>
      receivedBytes > 100_000 && controller.abort(new Error('enough'))
    await expect(fetchTiny({ signal: controller.signal, onProgress })).rejects.toThrow('enough')
    hub.bytesPerSecond = Number.POSITIVE_INFINITY
    hub.seen.length = 0
    await fetchTiny()
    expect(Number(hub.filesSeen('onnx/model.onnx').at(-1)?.range?.slice(6, -1))).toBeGreaterThan(90_000)
    await expect(fetchTiny({ signal: AbortSignal.abort(new Error('never')) })).rejects.toThrow('never')
  })

  it('to a full disk is STORAGE_FULL, and goes on when there is room', async (context) => {
    mkdirSync(home, { recursive: true })
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', home], { stdio: 'ignore' })
    } catch {
      return context.skip('needs the right to mount a small file system')
    }
    try {
      expect(await failure(fetchTiny())).toMatchObject({
        code: 'STORAGE_FULL',
        retryable: true,
        data: { file: 'onnx/model.onnx', size: weights.length },
        hint: expect.stringContaining('HF_HOME'),
      })
      expect(hub.filesSeen('onnx/model.onnx'), 'nothing was fetched for nothing').toEqual([])
      execFileSync('mount', ['-o', 'remount,size=2m', home])
      // Somebody else fills the disk meanwhile.
      hub.bytesPerSecond = 2_000_000
      const fetched = fetchTiny({ onProgress: ({ receivedBytes }) => receivedBytes > 50_000 && fill() })
      expect(await failure(fetched)).toMatchObject({ code: 'STORAGE_FULL' })
      rmSync(join(home, 'fill'))
      hub.seen.length = 0
      await fetchTiny()
      expect(hub.filesSeen('onnx/model.onnx').at(-1)?.range).toMatch(/^bytes=[1-9]/)
    } finally {
      execFileSync('umount', ['-l', home])
    }

    function fill(): void {
      if (existsSync(join(home, 'fill'))) return
      try {
        writeFileSync(join(home, 'fill'), Buffer.alloc(4 << 20))
      } catch {
        // Full: as intended.
      }
    }
  })

  it('to a folder that is a file is STORAGE', async () => {
    writeFileSync(home, '')
    expect(await failure(fetchTiny())).toMatchObject({ code: 'STORAGE', hint: expect.stringContaining('HF_HOME') })
  })

  it('is not needed for a snapshot of files in place of links, as Python leaves it on Windows', async () => {
    await fetchTiny()
    const path = join(snapshot(), 'onnx/model.onnx')
    rmSync(path)
    writeFileSync(path, weights)
    rmSync(join(repository(), 'blobs', sha256(weights)))
    hub.seen.length = 0
    expectSame((await open()).weights)
    expect(hub.seen).toEqual([])
    expect(lstatSync(path).isSymbolicLink()).toBe(false)
  })
})

describe('a hub', () => {
  it('that is out of reach is PROVIDER, with what was tried and how to do without', async () => {
    const error = await failure(
      open(id, { environment: environment({ HF_ENDPOINT: 'http://127.0.0.1:9' }), modelsDir: join(root, 'mine') }),
    )
    expect(error).toMatchObject({
      code: 'PROVIDER',
      retryable: true,
      message: expect.stringContaining('http://127.0.0.1:9'),
      data: {
        attempts: 3,
        looked: expect.arrayContaining([expect.objectContaining({ from: 'modelsDir', path: join(root, 'mine', id) })]),
      },
      hint: expect.stringMatching(
        /config\.json, tokenizer\.json, onnx\/model\.onnx .* from http:\/\/127\.0\.0\.1:9\/acme\/tiny\/tree\/main into .*mine\/acme\/tiny/,
      ),
    })
  })

  it('that does not know the model is NOT_FOUND, with its id and who was meant', async () => {
    const error = await failure(open('sentence-transformers/all-MiniLM-L7-v2'))
    expect(error).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('sentence-transformers/all-MiniLM-L7-v2'),
      data: { status: 404 },
      hint: expect.stringContaining('all-MiniLM-L6-v2'),
    })
  })

  it.each([401, 403])('that refuses with %i is PROVIDER, with the id and the token it wants', async (status) => {
    hub.fault = (_, response) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end('{"error":"Access denied"}')
      return true
    }
    const error = await failure(open(id, { environment: environment({ HF_TOKEN: 'hf_secret' }) }))
    expect(error).toMatchObject({
      code: 'PROVIDER',
      retryable: false,
      data: { status, model: id },
      hint: expect.stringContaining('HF_TOKEN'),
    })
    expect(`${JSON.stringify(error)}${error.stack}${error.cause?.stack}`).not.toContain('hf_secret')
  })

  it('is not asked when HF_HUB_OFFLINE is set', async () => {
    for (const variable of ['HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE']) {
      const options = { environment: environment({ [variable]: 'yes' }) }
      for (const attempt of [open(id, options), fetchTiny({}, options)]) {
        expect(await failure(attempt)).toMatchObject({
          code: 'NOT_FOUND',
          message: expect.stringContaining('HF_HUB_OFFLINE'),
        })
      }
    }
    expect(hub.seen).toEqual([])
  })

  it('that is out of reach leaves what was pulled before', async () => {
    const pulled = await fetchTiny()
    const { logger, messages } = warnings()
    hub.fault = (_, response) => response.destroy() !== undefined
    expect(await fetchTiny({ logger })).toEqual(pulled)
    expect(messages).toEqual([expect.stringContaining('out of reach')])
    expect(await failure(fetchTiny({ quantization: 'int8' }))).toMatchObject({ code: 'PROVIDER' })
    hub.fault = undefined
    expect(await fetchTiny({}, { environment: environment({ HF_HUB_OFFLINE: '1' }) })).toEqual(pulled)
  })

  it.each(['ftp://x', 'not an address', 'http://me:secret@127.0.0.1'])('at %s is BAD_OPTION', async (HF_ENDPOINT) => {
    const error = await failure(fetchTiny({}, { environment: environment({ HF_ENDPOINT }) }))
    expect(error).toMatchObject({ code: 'BAD_OPTION' })
    expect(JSON.stringify(error)).not.toContain('secret')
  })

  it('whose address ends with a slash is the same hub', async () => {
    expect((await fetchTiny({}, { environment: environment({ HF_ENDPOINT: `${hub.endpoint}/` }) })).directory).toBe(
      snapshot(),
    )
  })
})

/** A safetensors file of one matrix of eight columns. */
function safetensors(values: Float32Array): Buffer {
  const header = JSON.stringify({
    embeddings: { dtype: 'F32', shape: [values.length / 8, 8], data_offsets: [0, values.byteLength] },
  })
  const padded = Buffer.from(header.padEnd(Math.ceil(header.length / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  return Buffer.concat([length, padded, Buffer.from(values.buffer)])
}
