const list = (words: string): readonly string[] => words.split(' ')

/**
 * Function words by language profile: articles, pronouns, prepositions, conjunctions, auxiliaries and question words, as in the
 * stop lists of the Snowball project. Words that carry meaning in some field (`will`, `can`, `not` as nouns or operators) are still
 * found when they are all that was asked for.
 */
export const stopWords: Readonly<Record<string, readonly string[]>> = {
  english: list(
    'i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its itself ' +
      'they them their theirs themselves what which who whom this that these those am is are was were be been being have has had ' +
      'having do does did doing would should could ought a an the and but if or because as until while of at by for with about ' +
      'against between into through during before after above below to from up down in out on off over under again further then ' +
      'once here there when where why how all any both each few more most other some such no nor not only own same so than too very ' +
      'can will just',
  ),
  german: list(
    'ich mich mir mein meine du dich dir dein er ihn ihm sein seine sie ihr ihre ihren ihrem es wir uns unser euch man was welche ' +
      'welcher welches wer wen wem dieser diese dieses diesen diesem jener das dass der die den dem des ein eine einen einem einer ' +
      'eines kein keine ist sind war waren bin bist wird werden wurde wurden worden hat haben hatte hatten kann können soll sollte ' +
      'muss und oder aber wenn weil als wie ob auch noch nur schon so sehr dann da hier wo wann warum wieso für mit von vom zu zum ' +
      'zur bei beim nach vor aus auf an am in im ins um durch über unter zwischen gegen ohne bis seit während nicht sich',
  ),
  french: list(
    'je me moi mon ma mes tu te toi ton ta tes il elle lui son sa ses on nous notre nos vous votre vos ils elles leur leurs eux ce ' +
      'cet cette ces cela ça qui que quoi dont où quel quelle quels quelles quand comment pourquoi combien le la les un une des du de ' +
      'd l j m t s n c qu au aux et ou mais donc or ni car si est sont était étaient être été a ont avait avaient avoir eu fait peut ' +
      'à dans en par pour sur sous avec sans entre vers chez ne pas plus très aussi même tout tous toute toutes y se',
  ),
  spanish: list(
    'yo me mi mis tú te ti tu tus él ella ello le lo la los las les se su sus nosotros nos nuestro nuestra vosotros os ellos ellas ' +
      'este esta esto estos estas ese esa eso esos esas aquel aquella que qué quien quién cual cuál cuáles cuando cuándo donde dónde ' +
      'como cómo cuánto cuántos por para con sin sobre entre hasta desde hacia contra de del a al en el un una unos unas y e o u ni ' +
      'pero si porque es son era eran fue fueron ser sido está están estar ha han había haber hay no ya muy más también todo todos',
  ),
  italian: list(
    'io mi me mio mia tu ti te tuo tua lui lei gli le lo la suo sua suoi sue noi ci nostro nostra voi vi vostro loro li questo ' +
      'questa questi queste quello quella quelli quelle che chi cui quale quali quando dove come perché quanto quanti il i un uno una ' +
      'l d c di a da in con su per tra fra del dello della dei degli delle al allo alla ai agli alle dal dalla dai nel nella nei nelle ' +
      'sul sulla e ed o ma se anche è sono era erano essere stato ha hanno aveva avere non più molto si tutto tutti',
  ),
  portuguese: list(
    'eu me mim meu minha tu te teu tua ele ela lhe o a os as seu sua seus suas nós nos nosso nossa vós vos eles elas lhes este esta ' +
      'isto estes estas esse essa isso esses essas aquele aquela aquilo que quem qual quais quando onde como porque quanto quantos um ' +
      'uma uns umas de do da dos das em no na nos nas por pelo pela pelos pelas para com sem sobre entre até desde a ao aos à às e ou ' +
      'mas se é são era eram foi foram ser sido está estão estar tem têm tinha ter há não já muito mais também todo todos',
  ),
  dutch: list(
    'ik me mij mijn jij je jou jouw u uw hij hem zijn zij ze haar het wij we ons onze jullie hun hen dit dat deze die wie wat welk ' +
      'welke waar wanneer waarom hoe hoeveel de een en of maar als want omdat dan te van in op aan met voor door bij naar uit over ' +
      'onder tussen tegen zonder tot om is zijn was waren ben bent wordt worden werd werden heeft hebben had hadden kan kunnen zal ' +
      'moet niet geen ook nog al er zich zo',
  ),
}
