// The people of the made-up databases: names, addresses, and ids that are drawn once each. All of it is the project's own;
// none of the names or ids is one of tau-bench's.

import type { Random } from "../../random.ts";

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

const STREETS =
  `Alder Way, Amber Street, Beacon Street, Bridge Lane, Canal Street, Cherry Court, Clover Lane, Copper Road, Dover
   Street, Fern Avenue, Foundry Road, Garden Row, Harbor Road, Hazel Court, Juniper Way, Linden Street, Meadow Lane,
   Mill Street, Orchard Road, Poplar Avenue, Quarry Road, Rosewood Drive, Station Road, Temple Street, Valley Road`
    .split(/,\s+/)
    .map((street) => street.replace(/\s+/, " "));

/** City, state, first three digits of the zip code. */
const CITIES: readonly (readonly [city: string, state: string, zip: string])[] = [
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

export interface Address {
  readonly address1: string;
  readonly address2: string;
  readonly city: string;
  readonly country: string;
  readonly state: string;
  readonly zip: string;
}

export function makeAddress(random: Random): Address {
  const [city, state, zip] = random.pick(CITIES);
  return {
    address1: `${1 + random.int(989)} ${random.pick(STREETS)}`,
    address2: random.chance(0.5) ? `Flat ${1 + random.int(99)}` : "",
    city,
    country: "USA",
    state,
    zip: `${zip}${String(random.int(100)).padStart(2, "0")}`,
  };
}

/** Ids of a prefix and so many digits, each at most once in a database. */
export function drawIds(random: Random): (prefix: string, digits: number) => string {
  const used = new Set<string>();
  return (prefix, digits) => {
    for (;;) {
      const id =
        prefix + Array.from({ length: digits }, (_, i) => (i === 0 ? 1 + random.int(9) : random.int(10))).join("");
      if (used.has(id)) continue;
      used.add(id);
      return id;
    }
  };
}
