import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { RagError } from '../core/errors.js'
import { isMissingFile } from '../util/system-error.js'
import { isWeightsFile, listModelFiles } from './files.js'
import type { ModelRequest } from './locate.js'

/** The folder that is meant by the name of a model, or `undefined` when an id is. Rejects with `NOT_FOUND` for a path without a folder. */
export async function folderOf(model: string): Promise<string | undefined> {
  const path = model.startsWith('~/') ? join(homedir(), model.slice(2)) : model
  if (isAbsolute(path) || /^\.{1,2}(?:[/\\]|$)/.test(path)) {
    if ((await kindOf(path)) === 'folder') return resolve(path)
    throw new RagError('NOT_FOUND', `There is no model folder at "${resolve(path)}".`, {
      data: { model, path: resolve(path) },
      hint: 'Give the folder that holds config.json, tokenizer.json and the weights, or a hub id such as sentence-transformers/all-MiniLM-L6-v2.',
    })
  }
  if (model === '' || (await kindOf(path)) !== 'folder') return undefined
  // A folder that happens to have the name of a model is only meant when it holds one.
  const files = await listModelFiles(path)
  return files.includes('config.json') || files.some(isWeightsFile) ? resolve(path) : undefined
}

async function kindOf(path: string): Promise<'folder' | 'other' | undefined> {
  if (path.includes('\0')) return undefined
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'other'
  } catch (error) {
    if (isMissingFile(error)) return undefined
    throw error
  }
}

/** What the hub itself accepts; nothing that could lead out of a folder. */
const idPattern = /^(?![.-])[\w.-]{1,96}(?:\/(?![.-])[\w.-]{1,96})?$/

/** Throws `BAD_OPTION` for what cannot be an id or a revision. */
export function requireId({ model, revision = 'main' }: ModelRequest): void {
  if (!/^(?!\/)[\w./-]{1,255}$/.test(revision) || revision.includes('..')) {
    throw new RagError('BAD_OPTION', `The revision ${JSON.stringify(revision)} is no branch, tag or commit.`, {
      data: { revision },
    })
  }
  if (idPattern.test(model) && !/--|\.\./.test(model)) return
  throw new RagError('BAD_OPTION', `"${model}" is neither a folder that exists nor a hub id.`, {
    data: { model },
    hint: 'Folders begin with ./ or /; ids look like sentence-transformers/all-MiniLM-L6-v2.',
  })
}
