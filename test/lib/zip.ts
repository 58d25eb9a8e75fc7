import { crc32, deflateRawSync } from 'node:zlib'

/** An entry of {@link makeZip}; the last four let an archive lie. */
export interface ZipEntry {
  readonly name: string
  readonly content: string | Uint8Array
  /** Not packed, as the first entry of an EPUB. */
  readonly stored?: boolean
  readonly flags?: number
  /** Bytes that stand in the archive as they are, packed already. */
  readonly packed?: Uint8Array
  readonly size?: number
  /** Says that it lies where the entry of this number does. */
  readonly sameAs?: number
}

/** A ZIP of these entries (APPNOTE.TXT 4.3). */
export function makeZip(entries: readonly ZipEntry[]): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  const places: number[] = []
  let place = 0
  for (const [number, entry] of entries.entries()) {
    const { flags = 0x800, sameAs, stored = false } = entry
    const content = Buffer.from(entry.content as string)
    const packed = Buffer.from(entry.packed ?? (stored ? content : deflateRawSync(content)))
    const name = Buffer.from(entry.name)
    const facts = Buffer.alloc(26)
    facts.writeUInt16LE(20, 0)
    facts.writeUInt16LE(flags, 2)
    facts.writeUInt16LE(stored ? 0 : 8, 4)
    facts.writeUInt32LE(crc32(content), 10)
    facts.writeUInt32LE(packed.length, 14)
    facts.writeUInt32LE(entry.size ?? content.length, 18)
    facts.writeUInt16LE(name.length, 22)
    places[number] = sameAs === undefined ? place : (places[sameAs] as number)
    const where = Buffer.alloc(14)
    where.writeUInt32LE(places[number] as number, 10)
    directory.push(Buffer.from('PK\x01\x02\x14\x00'), facts, where, name)
    if (sameAs !== undefined) continue
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), facts, name, packed])
    parts.push(local)
    place += local.length
  }
  const table = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(table.length, 12)
  end.writeUInt32LE(place, 16)
  return Buffer.concat([...parts, table, end])
}
