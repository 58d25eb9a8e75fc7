/** Holds so many MiB for a moment: something for `BenchContext.child` to see. */
export default async function allocate(megabytes: number): Promise<number> {
  const bytes = new Uint8Array(megabytes << 20).fill(1)
  await new Promise((resolve) => setTimeout(resolve, 50))
  return bytes.length
}
