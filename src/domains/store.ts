// A session's own view of a database: copy-on-write, so that a session costs what it touches.
// Not a place for rules: tools decide what may be written. Entities are plain data; ids keep insertion order.

import type { Database } from "../types.ts";

export class Store {
  /** table -> id -> own copy, or undefined where the entity was deleted. */
  readonly #own = new Map<string, Map<string, unknown>>();

  constructor(readonly base: Database) {}

  /** The entity as it stands, for reading only; undefined when there is none. */
  get<T>(table: string, id: string): T | undefined {
    const own = this.#own.get(table);
    return (own?.has(id) ? own.get(id) : this.base.get(table)?.get(id)) as T | undefined;
  }

  /** The session's own copy of an entity, made on first use; what is written to it stays in this session. */
  edit<T>(table: string, id: string): T {
    const own = this.#table(table);
    if (!own.has(id)) own.set(id, copy(this.base.get(table)?.get(id)));
    const entity = own.get(id);
    if (entity === undefined) throw new Error(`no ${id} in ${table}`);
    return entity as T;
  }

  put(table: string, id: string, entity: unknown): void {
    this.#table(table).set(id, entity);
  }

  delete(table: string, id: string): void {
    this.#table(table).set(id, undefined);
  }

  /** All entities of a table in insertion order (new ones last), for reading only. */
  *entries<T>(table: string): Generator<[id: string, entity: T]> {
    const own = this.#own.get(table);
    const base = this.base.get(table);
    for (const [id, entity] of base ?? []) {
      const now = own?.has(id) ? own.get(id) : entity;
      if (now !== undefined) yield [id, now as T];
    }
    for (const [id, entity] of own ?? []) if (entity !== undefined && !base?.has(id)) yield [id, entity as T];
  }

  /** Entities that this session may have changed. */
  *touched(): Generator<[table: string, id: string]> {
    for (const [table, own] of this.#own) for (const id of own.keys()) yield [table, id];
  }

  /** Another view that starts in the same state; what is done to it stays there until it is adopted. */
  fork(): Store {
    const fork = new Store(this.base);
    for (const [table, own] of this.#own) fork.#own.set(table, copy(own));
    return fork;
  }

  /** Takes over the state of a fork. */
  adopt(fork: Store): void {
    this.#own.clear();
    for (const [table, own] of fork.#own) this.#own.set(table, own);
  }

  /** The whole database as it stands (entities shared, not copied). */
  snapshot(): Database {
    return new Map([...this.base.keys()].map((table) => [table, new Map(this.entries(table))]));
  }

  #table(table: string): Map<string, unknown> {
    const own = this.#own.get(table) ?? new Map<string, unknown>();
    this.#own.set(table, own);
    return own;
  }
}

/** Do two sessions over the same base stand in the same state? Looks only at what either has touched. */
export function sameState(a: Store, b: Store): boolean {
  for (const store of [a, b])
    for (const [table, id] of store.touched()) if (!equal(a.get(table, id), b.get(table, id))) return false;
  return true;
}

/** A deep copy of plain data. */
export function copy<T>(value: T): T {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(copy) as T;
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [k, copy(v)])) as T;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, copy(v)])) as T;
}

/** Deep equality of plain data: key order does not matter, order of arrays does; 1 and 1n differ, as do 0 and -0. */
export function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if (Array.isArray(a) || Array.isArray(b))
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((x, i) => equal(x, b[i]));
  if (a instanceof Map || b instanceof Map)
    return (
      a instanceof Map &&
      b instanceof Map &&
      a.size === b.size &&
      [...a].every(([k, v]) => b.has(k) && equal(v, b.get(k)))
    );
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every(
      (k) => Object.hasOwn(b, k) && equal((a as Record<string, unknown>)[k], (b as Record<string, unknown>)[k]),
    )
  );
}
