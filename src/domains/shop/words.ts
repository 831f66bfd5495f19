// The words that the shop is made of: ids, people, goods. All lowercase and common, so that a word-level tokenizer has
// one token for each. No id occurs anywhere else in the shop's texts, and none is the beginning of another.

/** Written `#light`; drawn without repetition within a database. */
export const IDS: readonly string[] =
  `acorn agent amber anchor angel animal apple april arch arrow autumn bacon badge bamboo banner barn basin basket beach
  beacon bean beaver bell berry bird bishop blossom boat bonnet branch brass bread breeze brick bridge bronze brook
  bubble bucket butter button cabin cactus camel camera canal candy canvas canyon captain carbon cargo carpet castle
  cedar cellar cement chapel cherry chief chorus cinema circle citrus clay cliff cloud clover coast cobra cocoa comet
  copper coral corner cottage cotton cougar cousin crane crater cream cricket crown crystal daisy dancer dawn deer
  desert diamond dolphin donkey dragon dream drum eagle earth echo elbow ember engine equal falcon farm feather fern
  ferry fiddle field finger flame flute forest fountain fox frost galaxy garden garlic ghost giant ginger glacier globe
  goat gravel guitar hammer harbor harvest hawk hazel hedge hero hill hollow honey horizon horse hotel hunter igloo
  insect island ivory jacket jaguar jasmine jelly jewel jungle kettle king kitten knight ladder lagoon lake lantern
  lark laurel lemon leopard light lily lion lizard lobster locket lotus lunar magnet mango maple marble march meadow
  melody melon mercy meteor miller mirror monkey moon morning moss motor mountain museum nectar needle nephew noble
  nugget oasis ocean olive onion opera orbit orchid otter owl oyster paddle palace panda panther parade parrot pasture
  peach pearl pebble pepper pigeon pilot pine pioneer planet plum pocket poem pond poppy prairie prince prism pumpkin
  pyramid quartz queen rabbit raccoon radar rain ranger raven reef ribbon river robin rocket root ruby saddle sailor
  salmon sand satin scholar season shadow shark shell shepherd silver singer sketch sky smoke snow soldier spark
  sparrow spider spirit spring stable star storm stream sugar summer sunset swan symbol teacher temple thistle
  thunder tiger timber tomato torch tower trail travel treasure tulip tunnel turtle twilight uncle unicorn valley
  velvet village violin volcano wagon walnut water whale wheat willow window winter wolf yarn zebra`.split(/\s+/);

export const FIRST_NAMES: readonly string[] =
  `anna ben carl dora emma felix gina henry irene jack karen leo mary nora oscar paul ralph sara tom vera walter
  alice bruno clara david eva frank helen ivan julia kevin laura martin nina oliver peter rita simon tina victor`.split(
    /\s+/,
  );

export const LAST_NAMES: readonly string[] =
  `adams baker burton carter clark cooper davis evans fisher foster grant harris hughes jackson jones
  kelly lewis martinez moore morris nelson owens parker perry quinn reed rogers scott smith taylor turner walker watson
  webb wilson wright young`.split(/\s+/);

/** How a customer can pay. */
export const PAYMENTS: readonly string[] = ["gift card", "paypal", "visa", "bank account"];

const COLOURS = ["black", "blue", "brown", "green", "pink", "red", "white"];
const SIZES = ["tiny", "small", "medium", "large", "huge"];
const MATERIALS = ["glass", "leather", "metal", "plastic", "stone", "wood"];

/** What is sold, with the options that it comes in. */
export const GOODS: readonly { readonly name: string; readonly options: readonly string[] }[] = [
  ...["backpack", "desk lamp", "headset", "notebook", "puzzle", "scarf", "umbrella", "tea pot"].map((name) => ({
    name,
    options: COLOURS,
  })),
  ...["sun hat", "hoodie", "blanket", "coffee mug", "tent", "vase"].map((name) => ({ name, options: SIZES })),
  ...["bookshelf", "chair", "park bench", "picture frame", "phone case", "watch"].map((name) => ({
    name,
    options: MATERIALS,
  })),
];
