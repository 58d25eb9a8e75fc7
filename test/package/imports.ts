import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import ts from 'typescript'

/** One import, wherever it stands and whatever its form. */
export interface Import {
  /** Path of the importing file from the project's root, with `/`. */
  readonly file: string
  /** What is imported: a path from the project's root, or the bare specifier. */
  readonly target: string
  readonly kind: 'static' | 'type' | 'dynamic'
  readonly line: number
}

/** All files below a folder, sorted, as paths from `root` with `/`. */
export function listFiles(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort()
}

/** Every import of a source or built file. `import { type A }` counts as static: the module is loaded for nothing. */
export function readImports(root: string, file: string): Import[] {
  const source = ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest, true)
  const found: Import[] = []
  const note = (node: ts.Node, specifier: ts.Node | undefined, kind: Import['kind']) => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return
    const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1
    found.push({ file, target: resolveTarget(file, specifier.text), kind, line })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      note(
        node,
        node.moduleSpecifier,
        node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword ? 'type' : 'static',
      )
    } else if (ts.isExportDeclaration(node)) {
      note(node, node.moduleSpecifier, node.isTypeOnly ? 'type' : 'static')
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      note(node, node.arguments[0], 'dynamic')
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      note(node, node.argument.literal, 'type')
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

/** The package of a bare specifier: `a/b` is `a`, `@a/b/c` is `@a/b`. */
export function packageName(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

function resolveTarget(file: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier
  const path = new URL(specifier, `file:///${file}`).pathname.slice(1)
  return file.endsWith('.ts') ? path.replace(/\.js$/, '.ts') : path
}
