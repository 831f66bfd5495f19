// The vocabulary of retail's made-up databases: people, places and a catalogue. All of it is the project's own; none of
// the names, products or ids is one of tau-bench's.

export const FIRST_NAMES =
  `Abel Agnes Alma Amos Astrid Beatriz Benno Bruno Carla Cedric Clara Cyrus Dalia Dario Edith Elias Elodie Ezra Farah
   Felix Flora Gideon Greta Hamid Hanna Hugo Ilse Imran Ingrid Jonas Judith Kamal Karin Kofi Lena Leon Leila Lionel
   Magda Malik Marta Milan Miriam Nadia Nils Nora Oscar Otto Paula Pedro Petra Quentin Ramona Rashid Rita Roman Ruth
   Samir Selma Silas Stella Tariq Thea Tomas Ulla Vera Victor Wanda Xenia Yves Zelda Zora`.split(/\s+/);

export const LAST_NAMES =
  `Abbott Amsel Baptiste Bauer Becker Boateng Carver Castillo Crane Dubois Duarte Ekman Farouk Fischer Fontaine Frost
   Gallo Goodwin Haddad Hale Holm Hughes Ibarra Ishikawa Jansen Keller Kowalski Laurent Lindqvist Lund Maddox Marino
   Mensah Mercer Navarro Novak Okafor Olsen Osman Park Pereira Quist Ramos Reyes Rivera Romero Sato Schmidt Serra
   Shaw Sokolov Tanaka Torres Ueda Vargas Vogel Weaver Winter Yamada Yilmaz Zeller Ziegler`.split(/\s+/);

export const STREETS =
  `Alder Way, Amber Street, Beacon Street, Bridge Lane, Canal Street, Cherry Court, Clover Lane, Copper Road, Dover
   Street, Fern Avenue, Foundry Road, Garden Row, Harbor Road, Hazel Court, Juniper Way, Linden Street, Meadow Lane,
   Mill Street, Orchard Road, Poplar Avenue, Quarry Road, Rosewood Drive, Station Road, Temple Street, Valley Road`
    .split(/,\s+/)
    .map((street) => street.replace(/\s+/, " "));

/** City, state, first three digits of the zip code. */
export const CITIES: readonly (readonly [city: string, state: string, zip: string])[] = [
  ["Portland", "OR", "972"],
  ["Boise", "ID", "837"],
  ["Tucson", "AZ", "857"],
  ["Omaha", "NE", "681"],
  ["Tulsa", "OK", "741"],
  ["Madison", "WI", "537"],
  ["Duluth", "MN", "558"],
  ["Buffalo", "NY", "142"],
  ["Albany", "NY", "122"],
  ["Savannah", "GA", "314"],
  ["Richmond", "VA", "232"],
  ["Norfolk", "VA", "235"],
  ["Memphis", "TN", "381"],
  ["Mobile", "AL", "366"],
  ["Spokane", "WA", "992"],
  ["Reno", "NV", "895"],
  ["Fresno", "CA", "937"],
  ["Toledo", "OH", "436"],
  ["Dayton", "OH", "454"],
  ["Hartford", "CT", "061"],
];

export interface Catalogued {
  readonly name: string;
  /** Lowest and highest price of a variant, dollars. */
  readonly price: readonly [number, number];
  readonly options: { readonly [option: string]: readonly string[] };
}

export const CATALOGUE: readonly Catalogued[] = [
  product("Rain Jacket", 45, 160, { color: "yellow|navy|olive", size: "S|M|L", lining: "mesh|fleece" }),
  product("Sleeping Bag", 60, 240, { color: "orange|teal|gray", filling: "down|synthetic", length: "regular|long" }),
  product("Camping Stove", 35, 130, { burners: "one|two", fuel: "propane|butane|wood", color: "black|red" }),
  product("Hammock", 30, 120, { color: "striped|green|sand", material: "cotton|nylon", size: "single|double" }),
  product("Cutting Board", 18, 75, { wood: "walnut|maple|bamboo", size: "small|medium|large", groove: "with|without" }),
  product("Toaster", 28, 140, { color: "cream|steel|mint", slots: "two|four", display: "dial|digital" }),
  product("Rice Cooker", 40, 190, { capacity: "3 cups|6 cups|10 cups", color: "white|black", lid: "glass|steel" }),
  product("Cookware Set", 90, 420, { pieces: "6|8|12", material: "steel|copper|ceramic", handles: "wood|metal" }),
  product("Bath Towel Set", 22, 95, { color: "ivory|slate|rose", pieces: "4|6|8", weave: "waffle|terry" }),
  product("Bed Sheet Set", 35, 170, { size: "twin|queen|king", color: "white|sage|plum", fabric: "linen|percale" }),
  product("Floor Rug", 70, 380, {
    size: "4 by 6|5 by 8|8 by 10",
    pattern: "plain|floral|geometric",
    fiber: "wool|jute",
  }),
  product("Picture Frame", 12, 60, { size: "5 by 7|8 by 10|11 by 14", finish: "oak|black|gold", mount: "wall|table" }),
  product("Wool Scarf", 20, 85, { color: "rust|navy|gray", pattern: "plain|checked", length: "short|long" }),
  product("Umbrella", 15, 65, { color: "black|green|clear", handle: "straight|curved", opening: "manual|automatic" }),
  product("Telescope", 110, 650, { aperture: "70 mm|90 mm|130 mm", mount: "tripod|tabletop", color: "white|blue" }),
  product("Chess Set", 25, 180, { material: "wood|marble|resin", board: "folding|fixed", size: "travel|club|large" }),
  product("Board Game", 20, 80, { edition: "classic|deluxe|travel", players: "2|4|6", language: "English|Spanish" }),
  product("Sewing Kit", 14, 55, { case: "tin|fabric|wood", pieces: "40|80|120", scissors: "with|without" }),
  product("Fishing Rod", 38, 210, { length: "6 ft|7 ft|9 ft", action: "light|medium|heavy", reel: "spinning|fly" }),
  product("Climbing Rope", 80, 260, { length: "40 m|60 m|80 m", diameter: "9 mm|10 mm", color: "red|blue|green" }),
  product("Guitar Stand", 16, 70, { material: "steel|walnut|oak", fold: "folding|fixed", capacity: "one|three|five" }),
  product("Piano Bench", 65, 280, { color: "black|walnut|white", seat: "leather|velvet", height: "fixed|adjustable" }),
  product("Watering Can", 15, 60, {
    capacity: "1 gallon|2 gallons|3 gallons",
    color: "copper|green|gray",
    spout: "long|short",
  }),
  product("Bird Feeder", 18, 90, { style: "tube|hopper|tray", color: "green|brown|red", capacity: "2 lb|5 lb" }),
  product("Lunch Box", 14, 50, { color: "blue|coral|black", compartments: "two|three|four", closure: "zip|clip" }),
  product("Door Mat", 16, 70, { size: "small|medium|wide", pattern: "plain|striped|leaf", material: "coir|rubber" }),
  product("Desk Organizer", 19, 88, {
    material: "bamboo|steel|acrylic",
    drawers: "none|one|two",
    color: "natural|black",
  }),
  product("Ceiling Fan", 95, 390, { blades: "3|4|5", color: "white|bronze|black", control: "remote|chain" }),
  product("Blender", 45, 230, { color: "red|silver|black", power: "500 W|900 W|1200 W", jar: "glass|plastic" }),
  product("Yarn Basket", 17, 66, { material: "willow|felt|cotton", size: "small|large", color: "natural|gray|ochre" }),
];

function product(name: string, low: number, high: number, options: { readonly [option: string]: string }): Catalogued {
  const split = Object.entries(options).map(([option, values]) => [option, values.split("|")]);
  return { name, price: [low, high], options: Object.fromEntries(split) };
}
