/** How a language is written, as far as its units are told by their first lines. */
export type SourceFamily =
  | 'braces'
  | 'javascript'
  | 'python'
  | 'go'
  | 'rust'
  | 'c'
  | 'ruby'
  | 'lua'
  | 'elixir'
  | 'lines'

/** A programming language: its media type, the endings of its files, and how its units are found. */
export interface SourceLanguage {
  readonly mediaType: string
  readonly endings: readonly string[]
  readonly family: SourceFamily
}

/**
 * Languages whose files are read as source code. `lines`: no units are looked for; cut at line ends, as everything is.
 * Configuration (YAML, TOML, XML, INI) is plain text.
 */
export const sourceLanguages: readonly SourceLanguage[] = [
  language('text/javascript', 'javascript', 'js mjs cjs jsx'),
  language('text/x-typescript', 'javascript', 'ts mts cts tsx'),
  language('text/x-python', 'python', 'py pyi pyw'),
  language('text/x-cython', 'python', 'pyx pxd'),
  language('text/x-go', 'go', 'go'),
  language('text/x-rust', 'rust', 'rs'),
  language('text/x-c', 'c', 'c h'),
  language('text/x-c++', 'c', 'cc cpp cxx c++ hh hpp hxx ipp inl cu cuh'),
  language('text/x-objective-c', 'c', 'm mm'),
  language('text/x-java', 'braces', 'java'),
  language('text/x-kotlin', 'braces', 'kt kts'),
  language('text/x-scala', 'braces', 'scala sc'),
  language('text/x-groovy', 'braces', 'groovy gradle'),
  language('text/x-csharp', 'braces', 'cs'),
  language('text/x-swift', 'braces', 'swift'),
  language('text/x-dart', 'braces', 'dart'),
  language('text/x-php', 'braces', 'php phtml'),
  language('text/x-solidity', 'braces', 'sol'),
  language('text/x-zig', 'rust', 'zig'),
  language('text/x-protobuf', 'braces', 'proto'),
  language('text/x-graphql', 'braces', 'graphql gql'),
  language('text/x-ruby', 'ruby', 'rb rake gemspec'),
  language('text/x-crystal', 'ruby', 'cr'),
  language('text/x-julia', 'lua', 'jl'),
  language('text/x-lua', 'lua', 'lua luau'),
  language('text/x-elixir', 'elixir', 'ex exs'),
  language('text/x-shellscript', 'lines', 'sh bash zsh ksh fish'),
  language('text/x-powershell', 'braces', 'ps1 psm1'),
  language('text/x-perl', 'braces', 'pl pm'),
  language('text/x-r', 'lines', 'r'),
  language('text/x-sql', 'lines', 'sql'),
  language('text/x-haskell', 'lines', 'hs'),
  language('text/x-ocaml', 'lines', 'ml mli'),
  language('text/x-fsharp', 'lines', 'fs fsx fsi'),
  language('text/x-elm', 'lines', 'elm'),
  language('text/x-erlang', 'lines', 'erl hrl'),
  language('text/x-clojure', 'lines', 'clj cljs cljc edn'),
  language('text/x-lisp', 'lines', 'lisp lsp el scm rkt'),
  language('text/x-nim', 'lines', 'nim'),
  language('text/x-vb', 'lines', 'vb vbs bas'),
  language('text/x-pascal', 'lines', 'pas dpr'),
  language('text/x-fortran', 'lines', 'f90 f95 f03 for'),
  language('text/x-assembly', 'lines', 'asm s'),
  language('text/css', 'lines', 'css scss sass less'),
  language('text/x-vue', 'javascript', 'vue svelte astro'),
  language('text/x-terraform', 'lines', 'tf hcl'),
]

function language(mediaType: string, family: SourceFamily, endings: string): SourceLanguage {
  return { mediaType, family, endings: endings.split(' ') }
}
