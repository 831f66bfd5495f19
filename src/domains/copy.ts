// Deep copies and deep equality of plain data; and copies of a database's rows that cost what is taken out of them. A
// row never changes, so whatever was worked out from it holds. Test: test/unit/store.test.ts, test/unit/isolation.test.ts

type AnyMap = ReadonlyMap<unknown, unknown>;

/** Maps that are rows of databases. */
const SHARED = new WeakSet<AnyMap>();

/** Says that nobody will ever change this Map. */
export function share(row: AnyMap): void {
  SHARED.add(row);
}

/** A deep copy of plain data. */
export function copy<T>(value: T): T {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(copy) as T;
  if (value instanceof Map) return new Map(Array.from(parts(value), ([key, part]) => [key, copy(part)])) as T;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, copy(part)])) as T;
}

/** A deep copy of a database's row, or of a part of one. A Map's parts are copied when they are first taken out. */
export function copyRow<T>(value: T): T {
  if (value instanceof Map) return new Copy(value) as T;
  return Array.isArray(value) ? (value.map(copyRow) as T) : copy(value);
}

/**
 * Behaves as a deep copy of its origin; it holds nothing until something is set, deleted or taken out. What looks past a
 * Map's own methods, as structuredClone does, finds it empty.
 */
class Copy extends Map<unknown, unknown> {
  readonly origin: AnyMap;
  intact = true;

  constructor(origin: AnyMap) {
    super();
    this.origin = origin;
  }

  override get size(): number {
    return this.intact ? this.origin.size : super.size;
  }

  override has(key: unknown): boolean {
    return this.intact ? this.origin.has(key) : super.has(key);
  }

  override get(key: unknown): unknown {
    const part = this.intact ? peek(this.origin, key) : super.get(key);
    if (part === null || typeof part !== "object") return part;
    if (!this.intact && part !== peek(this.origin, key)) return part;
    const mine = copyRow(part);
    this.set(key, mine);
    return mine;
  }

  override set(key: unknown, part: unknown): this {
    this.#fill();
    return super.set(key, part);
  }

  override delete(key: unknown): boolean {
    this.#fill();
    return super.delete(key);
  }

  override clear(): void {
    this.#fill();
    super.clear();
  }

  override keys(): MapIterator<unknown> {
    this.#fill();
    return super.keys();
  }

  override *entries(): MapIterator<[unknown, unknown]> {
    for (const key of this.keys()) yield [key, this.get(key)];
  }

  override *values(): MapIterator<unknown> {
    for (const key of this.keys()) yield this.get(key);
  }

  override forEach(visit: (part: unknown, key: unknown, map: Map<unknown, unknown>) => void, self?: unknown): void {
    for (const key of this.keys()) visit.call(self, this.get(key), key, this);
  }

  override [Symbol.iterator](): MapIterator<[unknown, unknown]> {
    return this.entries();
  }

  #fill(): void {
    if (!this.intact) return;
    this.intact = false;
    for (const [key, part] of parts(this.origin)) super.set(key, part);
  }
}

/** `map.get(key)`, for reading only. */
export function peek<K, V>(map: ReadonlyMap<K, V>, key: K): V | undefined {
  return Map.prototype.get.call(holderOf(map), key);
}

/** `map.entries()`, for reading only. */
export function parts<K, V>(map: ReadonlyMap<K, V>): MapIterator<[K, V]> {
  return Map.prototype.entries.call(holderOf(map));
}

/** The Map that holds this one's parts. */
function holderOf(map: AnyMap): AnyMap {
  return map instanceof Copy && map.intact ? holderOf(map.origin) : map;
}

/** The Map in a database that this one is or was copied from; null where there is none. */
export function originOf<M extends AnyMap>(map: M): M | null {
  if (map instanceof Copy) return map.origin as M;
  return SHARED.has(map) ? map : null;
}

/** Is nothing of this Map set, deleted or taken out, so that it has its origin's content? */
export function isIntact(map: AnyMap): boolean {
  return !(map instanceof Copy) || map.intact;
}

/** Deep equality of plain data: key order does not matter, order of arrays does; 1 and 1n differ, as do 0 and -0. */
export function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if (Array.isArray(a) || Array.isArray(b))
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((x, i) => equal(x, b[i]));
  if (a instanceof Map || b instanceof Map) return a instanceof Map && b instanceof Map && equalMaps(a, b);
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every(
      (k) => Object.hasOwn(b, k) && equal((a as Record<string, unknown>)[k], (b as Record<string, unknown>)[k]),
    )
  );
}

function equalMaps(a: AnyMap, b: AnyMap): boolean {
  if (a.size !== b.size) return false;
  const origin = originOf(a);
  if (origin && origin === originOf(b) && isIntact(a) && isIntact(b)) return true;
  for (const [key, part] of parts(a)) if (!b.has(key) || !equal(part, peek(b, key))) return false;
  return true;
}
