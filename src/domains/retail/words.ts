// Retail's catalogue: products with their options and prices, the project's own.

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
