/** Elements without text for readers. */
export const dropped: ReadonlySet<string> = new Set(
  'script style noscript template svg nav iframe canvas object audio video select datalist textarea'.split(' '),
)
/** Landmarks that are navigation, too, when most of their text is links. */
export const landmarks: ReadonlySet<string> = new Set(['header', 'footer', 'aside'])
/** Values of `role` that say the same of any element. */
export const droppedRoles: ReadonlySet<string> = new Set(['navigation', 'search', 'menu', 'menubar'])
/** Elements without an end. */
export const voids: ReadonlySet<string> = new Set(
  'area base basefont br col embed frame hr img input keygen link meta param source track wbr'.split(' '),
)
/** Elements that stand on lines of their own, with the line ends around them. */
export const lineEnds: ReadonlyMap<string, 1 | 2> = new Map([
  ...'address article aside body br caption center dd details dialog dir div dt fieldset figcaption footer form head header hgroup html legend li main menu option search section summary tbody tfoot thead title tr'
    .split(' ')
    .map((name) => [name, 1] as const),
  ...'blockquote dl figure h1 h2 h3 h4 h5 h6 hr ol p pre table ul'.split(' ').map((name) => [name, 2] as const),
])
/** Elements whose end tag may be left out: they end where one of the same name begins, or what holds them ends. */
export const openEnded: ReadonlySet<string> = new Set('p li dt dd tr td th option tbody thead tfoot'.split(' '))

/** 1 to 6 for a heading, else 0. */
export function headingDepth(name: string): number {
  return name.length === 2 && name[0] === 'h' ? '123456'.indexOf(name[1] as string) + 1 : 0
}
