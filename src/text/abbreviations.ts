/**
 * What a full stop after this word means.
 *
 * - `never`: never the end of a sentence (`Dr.`, `e.g.`)
 * - `number`: not the end before a number (`No. 5`, `pp. 3-4`), else an ordinary word (`No. That is wrong.`)
 * - `maybe`: the end only before a word that often begins sentences (`Acme Inc. The ...`, but `Acme Inc. Chairman ...`)
 * - `capital`: the end before any capital letter (`etc. Birds ...`, `at 5 p.m. Birds ...`)
 */
export type AbbreviationKind = 'never' | 'number' | 'maybe' | 'capital'

/** Abbreviations by their lower-case form without the last stop. English first, then the larger European languages. */
const words: Readonly<Record<AbbreviationKind, string>> = {
  never: `
    mr mrs ms dr drs prof messrs mssrs mme mlle msgr rev hon fr gen col maj capt cmdr comdr lt sgt cpl pvt adm brig
    gov sen sens rep reps pres supt insp det atty attys asst assoc mt ft st ste ph
    vs v cf viz e.g eg i.e ie ca approx esp incl excl resp fig figs eq eqs ref refs al
    hr hrn frau fam dipl ing mag univ prof.dr bzw z.b d.h u.a i.d.r o.ä o.a s.o s.u vgl ggf evtl insb sog bspw abb nr zzgl inkl
    exkl einschl geb gest verh mlles mgr pr sra srta srs dña dn da ud uds vd vds núm pág págs p.ej p.ex av avda
    sig sigg sig.ra dott dott.ssa prof.ssa avv arch geom rag spett egr gent dhr mevr mw bijv d.w.z m.b.t t.a.v blz
    tzv tzn např apod inż prof.zw ul al.jer dr.hab bl.a f.eks t.ex t.o.m fr.o.m jfr jf mvh
  `,
  number: `
    no nos p pp vol vols ch chap chs sec secs sect art arts par para app ex no's tab tabl op
    s bd kap ziff abs art.-nr hft jg tel teil pos n num t cap párr vers č čl nro
  `,
  maybe: `
    inc ltd co corp bros cie jr sr esq dept est min max mfg ave blvd rd hwy bldg apt ext ed eds trans repr rev'd
    natl intl govt assn misc temp avg std orig ver var ser exp sci technol
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri
    ala ariz calif colo conn fla ga ill kan ky mass mich minn miss mo mont neb nev okla ont ore pa que tenn tex va vt wash wis
    wyo okt dez mai mrz janv févr avr juil déc ene abr ago dic giu lug ott
    gmbh ag str u.s u.k u.n ph.d m.d b.a m.a b.sc m.sc d.c jur phil med rer nat habil
  `,
  capital: `
    etc usw usf etcetera ecc enz osv itd itp atd m.fl m.m a.m p.m a.d b.c b.c.e c.e u.s.w
  `,
}

/** Looks an abbreviation up by its lower-case form without the last stop. */
export const abbreviations: ReadonlyMap<string, AbbreviationKind> = new Map(
  (Object.entries(words) as [AbbreviationKind, string][]).flatMap(([kind, list]) =>
    split(list).map((word) => [word, kind] as const),
  ),
)

/** Those of {@link abbreviations} that are ordinary words unless they begin with a capital (`ill`, `wed`, `mar`). */
export const capitalisedOnly: ReadonlySet<string> = new Set(
  split(`
    mar jun mon wed fri ill mass miss ore va que mo pa ga min max ed eds temp exp ext est trans col gen mag rep rev
    hon fr da av ago dic rag gent arch ms det st ave wash mont co mai phil nat med ser var sen pres mt ft lt ver ag
  `),
)

/** Words that often begin sentences and seldom follow an abbreviation within one. */
export const sentenceStarters: ReadonlySet<string> = new Set(
  split(`
    the a an this that these those there here it its he his she her they their we our you your i my who what when
    where why how which in on at by for from to with without within under over after before during since until while
    as if because although though however but and or nor so yet thus then therefore hence also many most some all both
    each every other another several few such no not only even one two three first second third finally moreover
    furthermore meanwhile today yesterday tomorrow now once is are was were will would can could do does did has have
    had may might should must let please see der die das ein eine einer er sie es wir ihr ich dieser diese dieses dies
    im am auf bei mit nach seit von zu zum zur aus wenn als aber und oder doch auch nur nicht dann da weil obwohl
    während le la les l un une des il elle ils elles nous vous je ce cet cette ces dans en sur pour par avec mais et
    ou el los las uno una él ella ellos nosotros este esta estos estas eso con por para pero y o sin si lo gli egli
    essi noi questo questa questi nel nella per ma e os um uma ele ela eles nós isto em na com mas de het een hij zij
    ze wij dit deze
  `),
)

/** Words before which a number with a stop is an ordinal: German and Nordic months and a few nouns. */
export const ordinalFollowers: ReadonlySet<string> = new Set(
  split(`
    januar jänner februar märz april mai juni juli august september oktober november dezember jahrhundert jahrhunderts
    weltkrieg weltkriegs jahrestag geburtstag klasse auflage platz
  `),
)

/** Words after which a number with a stop is an ordinal in German: `der 2. Weltkrieg`, `am 3. Tag`. */
export const ordinalLeaders: ReadonlySet<string> = new Set(
  split('der die das den dem des am im vom zum zur beim ein eine einer eines einem einen jeder jede jedes'),
)

function split(list: string): string[] {
  return list.trim().split(/\s+/)
}
