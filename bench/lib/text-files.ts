import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createTextGenerator } from './corpus.js'

/** Writes so many megabytes of seeded text as files of so many kilobytes into a folder of its own. */
export function writeTextFiles(
  folder: string,
  size: { readonly megabytes: number; readonly documentKilobytes: number },
): string {
  mkdirSync(folder, { recursive: true })
  const generator = createTextGenerator(size.megabytes)
  const count = Math.ceil((size.megabytes * 1000) / size.documentKilobytes)
  for (let i = 0; i < count; i++) {
    writeFileSync(join(folder, `document-${i}.txt`), generator.document(size.documentKilobytes * 1000))
  }
  return folder
}
