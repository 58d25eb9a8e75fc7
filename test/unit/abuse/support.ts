import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect } from 'vitest'
import { type RagErrorCode, UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'

const opened: UltraFastRAG[] = []
const folders: string[] = []
const unhandled: unknown[] = []
process.on('unhandledRejection', (error) => unhandled.push(error))

afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => inTime(rag.close())))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
  expect(unhandled.splice(0)).toEqual([])
})

/** An instance that is closed after the test, which fails when that hangs or anything was left unhandled. */
export function open(options: UltraFastRAGOptions = {}): UltraFastRAG {
  const rag = new UltraFastRAG(options)
  opened.push(rag)
  return rag
}

export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-abuse-'))
  folders.push(folder)
  return folder
}

export const never = () => new Promise<never>(() => {})

/** Fails for what would otherwise hold up the whole run. */
export async function inTime<Value>(promise: Promise<Value>, ms = 25_000): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not done after ${ms} ms.`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Arguments that types would not allow. */
export const wrong = (value: unknown) => value as never

/** What a rejection with a code looks like. */
export const failing = (code: RagErrorCode) => expect.objectContaining({ name: 'RagError', code })
