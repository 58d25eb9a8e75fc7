const endRecord = Buffer.from('PK\x05\x06', 'latin1')
const directoryRecord = Buffer.from('PK\x01\x02', 'latin1')

/**
 * Names of the entries of a ZIP, from the table of contents at its end (APPNOTE.TXT 4.3.12 and 4.3.16); of a long one those that are
 * within `tail`. None when there is no table, as in a file that is cut off.
 */
export function zipEntryNames(tail: Uint8Array): readonly string[] {
  const bytes = Buffer.from(tail.buffer, tail.byteOffset, tail.length)
  const end = bytes.lastIndexOf(endRecord)
  if (end < 0 || end + 22 > bytes.length) return []
  const start = end - bytes.readUInt32LE(end + 12)
  const names: string[] = []
  // A table that begins before the tail is met at the first record that is whole.
  for (let place = start >= 0 ? start : bytes.indexOf(directoryRecord); place >= 0 && place + 46 <= end; ) {
    if (!bytes.subarray(place, place + 4).equals(directoryRecord)) break
    const nameLength = bytes.readUInt16LE(place + 28)
    names.push(bytes.toString('latin1', place + 46, place + 46 + nameLength).replaceAll('\\', '/'))
    place += 46 + nameLength + bytes.readUInt16LE(place + 30) + bytes.readUInt16LE(place + 32)
  }
  return names
}
