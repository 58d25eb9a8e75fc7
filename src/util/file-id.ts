import { isAbsolute, relative, sep } from 'node:path'

/** The document id of a file: its path relative to `root` with `/`; outside of `root`, its absolute path. Both are absolute paths. */
export function fileId(path: string, root: string): string {
  const inside = relative(root, path)
  const isOutside = inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)
  const id = isOutside ? path : inside
  return sep === '/' ? id : id.replaceAll(sep, '/')
}
