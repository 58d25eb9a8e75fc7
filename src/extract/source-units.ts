import type { SourceFamily } from './source-languages.js'

/** A function, class or the like, told by the line it begins with. */
export interface Unit {
  /** Its name as people say it: `class Store`, `parse()`. */
  readonly name: string
  /** Whether it holds units of its own. */
  readonly holds: boolean
}

/** How units of a language begin and end. */
export interface UnitRules {
  /** The unit that a line begins, if any. `within`: the line stands inside a unit that holds others. */
  begins(line: string, within: boolean): Unit | undefined
  /** Whether a line, as far out as the one a unit begins with, is its end. */
  ends(line: string): boolean
  /** Whether a line belongs to what follows: a comment, an annotation. */
  leads(line: string): boolean
  /** Whether a line as far out as the one a unit begins with can still belong to it. */
  goesOn(line: string): boolean
}

/** The rules of a family of languages; none where no units are looked for. */
export function unitRules(family: SourceFamily): UnitRules | undefined {
  const signs = families[family]
  if (signs === undefined) return undefined
  const { patterns, members = [], end, lead, holders } = signs
  const find = (line: string, from: readonly RegExp[]): Unit | undefined => {
    for (const pattern of from) {
      const groups = pattern.exec(line)?.groups
      if (groups?.name === undefined || keywords.has(groups.name)) continue
      const { kind } = groups
      if (kind === undefined) return { name: `${groups.name}()`, holds: false }
      return { name: `${kind} ${groups.name}`, holds: holders.has(kind) }
    }
    return undefined
  }
  return {
    begins: (line, within) =>
      line.length > longestFirstLine ? undefined : (find(line, patterns) ?? (within ? find(line, members) : undefined)),
    ends: (line) => end.test(line) && !/[{([,]\s*$/.test(line),
    leads: (line) => lead.test(line),
    goesOn: (line) =>
      /^\s*([)\]}{:,]|end\b|#\s*(if|el|end|define|pragma|undef)|(public|private|protected)\s*:|where\b|=>|->|throws\b)/.test(
        line,
      ),
  }
}

/** No declaration is longer; what is, is data or was made by a program. */
const longestFirstLine = 400

/** Words that stand where a name would. */
const keywords: ReadonlySet<string> = new Set(
  'if for while switch catch return function else do try with throw new delete typeof await yield case sizeof using lock foreach match super this assert defined require include echo print not and or in is elif except raise unless until begin then static_assert alignof decltype'.split(
    ' ',
  ),
)

interface FamilySigns {
  /** First lines of units, with the groups `name` and `kind`. */
  readonly patterns: readonly RegExp[]
  /** First lines of units that stand inside others only. */
  readonly members?: readonly RegExp[]
  readonly end: RegExp
  readonly lead: RegExp
  /** Kinds that hold units. */
  readonly holders: ReadonlySet<string>
}

/** What holds units that say more than one line; the members of an interface do not. */
const holders: ReadonlySet<string> = new Set(
  'class struct record trait impl namespace module object extension mixin actor contract library mod @implementation defmodule defimpl'.split(
    ' ',
  ),
)

const slashComments = /^\s*(\/\/|\/\*|\*|@|\[[A-Z]|#\[|#!|<!--)/
const hashComments = /^\s*(#|@|"""|''')/
const name = '(?<name>[\\p{L}_$][\\p{L}\\p{N}_$]*)'
/** Words before a declaration; each once or twice, so that the match stays linear. */
const modifiers = (words: string) => `(?:(?:${words})\\s+){0,8}`

const javaWords =
  'public|private|protected|internal|fileprivate|open|static|final|abstract|sealed|virtual|override|async|partial|readonly|unsafe|extern|inline|suspend|data|value|inner|companion|lateinit|const|external|operator|infix|tailrec|default|synchronized|native|strictfp|transient|volatile|mutating|nonmutating|convenience|required|indirect|case|implicit|lazy|new|non-sealed|base|late|covariant|expect|actual|annotation'

const families: Readonly<Record<SourceFamily, FamilySigns | undefined>> = {
  javascript: {
    patterns: [
      new RegExp(
        `^\\s*${modifiers('export|default|declare|abstract')}(?<kind>class|interface|enum|namespace|module)\\s+${name}`,
        'u',
      ),
      new RegExp(`^\\s*${modifiers('export|default|declare|async')}function\\s*\\*?\\s*${name}`, 'u'),
      new RegExp(
        `^\\s*${modifiers('export|default')}(?:const|let|var)\\s+${name}\\s*(?::[^=]{0,200})?=\\s*(?:async\\s*)?(?:function\\b|\\([^()]*\\)\\s*(?::[^=]{0,100})?=>|\\($|[\\p{L}_$][\\p{L}\\p{N}_$]*\\s*=>)`,
        'u',
      ),
      new RegExp(`^${modifiers('export|declare')}(?<kind>type)\\s+${name}\\s*(?:<[^=]*>)?\\s*=\\s*\\{?\\s*$`, 'u'),
    ],
    members: [
      new RegExp(
        `^\\s*${modifiers('public|private|protected|static|override|readonly|abstract|async|get|set|accessor')}\\*?\\s*#?${name}\\s*(?:<[^()]*>)?\\([^;]*$`,
        'u',
      ),
    ],
    end: /^\s*\}/,
    lead: slashComments,
    holders,
  },
  braces: {
    patterns: [
      new RegExp(
        `^\\s*${modifiers(javaWords)}(?<kind>class|interface|struct|enum|record|trait|namespace|module|object|extension|protocol|mixin|actor|contract|library|service|message|@interface|input|type(?=\\s+\\w+\\s*(?:implements\\b[^{]*)?\\{))\\s+(?:class\\s+|struct\\s+)?${name}`,
        'u',
      ),
      new RegExp(
        `^\\s*${modifiers(javaWords)}(?:fun|func|function|def|sub|init|macro|modifier|event|rpc|subroutine)\\s+(?:<[^<>]*>\\s*)?(?:&\\s*)?(?:[\\p{L}_][\\p{L}\\p{N}_<>?]*\\.)?${name}`,
        'u',
      ),
    ],
    members: [
      // "type name(arguments" without an end: a method; a call ends with a semicolon or has no type.
      new RegExp(
        `^\\s*${modifiers(javaWords)}(?:<[^<>]*>\\s*)?(?:[\\p{L}_][\\p{L}\\p{N}_.<>,?\\[\\]&*]*\\s+){0,3}~?${name}\\s*\\([^;=]*$`,
        'u',
      ),
    ],
    end: /^\s*\}/,
    lead: slashComments,
    holders,
  },
  python: {
    patterns: [
      new RegExp(`^\\s*(?<kind>class)\\s+${name}`, 'u'),
      new RegExp(`^\\s*(?:async\\s+)?(?:cp?)?def\\s+(?:[\\w.]+\\s+)?${name}\\s*\\(`, 'u'),
    ],
    end: /^\b$/,
    lead: hashComments,
    holders,
  },
  go: {
    patterns: [
      new RegExp(`^func\\s+(?:\\([^()]*\\)\\s*)?${name}`, 'u'),
      new RegExp(`^(?<kind>type)\\s+${name}\\s+(?:struct|interface)\\b`, 'u'),
    ],
    end: /^\}/,
    lead: slashComments,
    holders: new Set(),
  },
  rust: {
    patterns: [
      new RegExp(
        `^\\s*${modifiers('pub(?:\\([^()]*\\))?|unsafe|async|const|default|extern(?:\\s+"[^"]*")?|inline|export|threadlocal')}fn\\s+${name}`,
        'u',
      ),
      new RegExp(
        `^\\s*${modifiers('pub(?:\\([^()]*\\))?|unsafe|default')}(?<kind>impl)(?:<[^{}]{0,200}?>)?\\s+(?:[\\p{L}_][^{}]{0,200}?\\s+for\\s+)?(?:&\\s*)?${name}`,
        'u',
      ),
      new RegExp(
        `^\\s*${modifiers('pub(?:\\([^()]*\\))?|unsafe|auto')}(?<kind>struct|enum|trait|mod|union)\\s+${name}`,
        'u',
      ),
      new RegExp(`^\\s*(?:pub\\s+)?(?:macro_rules!\\s*|macro\\s+)${name}`, 'u'),
    ],
    end: /^\s*\}/,
    lead: slashComments,
    holders,
  },
  c: {
    patterns: [
      new RegExp(
        `^\\s*${modifiers('typedef|export|inline|static|template\\s*<[^<>]*>')}(?<kind>class|struct|enum|union|namespace|@interface|@implementation|@protocol)\\s+(?:class\\s+)?(?:\\[\\[[^\\]]*\\]\\]\\s*)?${name}(?![^{]*[;=(])`,
        'u',
      ),
      new RegExp(
        `^(?![#@/*{}])(?:[\\p{L}_](?:[\\p{L}\\p{N}_:<>,]|[*&]+(?=[>,]))*[\\s*&]+){1,6}(?:[\\p{L}_][\\p{L}\\p{N}_<>]*::){0,4}~?${name}\\s*\\([^;=]*$`,
        'u',
      ),
      new RegExp(`^(?:[\\p{L}_][\\p{L}\\p{N}_<>]*::){1,4}~?${name}\\s*\\([^;=]*$`, 'u'),
      new RegExp(`^[-+]\\s*\\([^()]*\\)\\s*${name}`, 'u'),
    ],
    members: [
      new RegExp(
        `^\\s*(?![#@/*{}])(?:[\\p{L}_](?:[\\p{L}\\p{N}_:<>,]|[*&]+(?=[>,]))*[\\s*&]+){0,6}~?${name}\\s*\\([^;=]*\\{\\s*$`,
        'u',
      ),
    ],
    end: /^\s*(\}|@end)/,
    lead: /^\s*(\/\/|\/\*|\*|template\b|\[\[)/,
    holders,
  },
  ruby: {
    patterns: [
      new RegExp(`^\\s*(?:abstract\\s+)?(?<kind>class|module|struct|enum)\\s+(?:[\\p{L}\\p{N}_]+::)*${name}`, 'u'),
      new RegExp(`^\\s*(?:private\\s+|protected\\s+|public\\s+)?def\\s+(?:self\\.)?${name}`, 'u'),
    ],
    end: /^\s*end\b/,
    lead: hashComments,
    holders,
  },
  lua: {
    patterns: [
      new RegExp(`^\\s*(?:baremodule|(?<kind>module))\\s+${name}`, 'u'),
      new RegExp(`^\\s*(?:mutable\\s+)?(?<kind>struct)\\s+${name}`, 'u'),
      new RegExp(`^\\s*(?:local\\s+)?function\\s+(?:[\\p{L}_][\\p{L}\\p{N}_]*[.:]){0,4}${name}`, 'u'),
      new RegExp(`^\\s*macro\\s+${name}`, 'u'),
    ],
    end: /^\s*end\b/,
    lead: /^\s*(--|#|"""|@)/,
    holders,
  },
  elixir: {
    patterns: [
      /^\s*(?<kind>defmodule|defprotocol|defimpl)\s+(?<name>[\p{L}\p{N}_.]+)/u,
      new RegExp(`^\\s*(?:defp?|defmacrop?|defguardp?|defdelegate)\\s+${name}`, 'u'),
    ],
    end: /^\s*end\b/,
    lead: /^\s*(#|@)/,
    holders,
  },
  lines: undefined,
}
