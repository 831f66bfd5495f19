// A session's own view of a database: copy-on-write, so that a session costs what it touches.
// Not a place for rules: tools decide what may be written. Entities are plain data; ids keep insertion order.
// Test: test/unit/store.test.ts, test/unit/isolation.test.ts

import type { Database } from "../types.ts";
import { copy, copyRow, equal, share } from "./copy.ts";

export { copy, equal } from "./copy.ts";

export class Store {
  /** table -> id -> own copy, or undefined where the entity was deleted. */
  readonly #own = new Map<string, Map<string, unknown>>();

  constructor(readonly base: Database) {}

  /** The entity as it stands, for reading only; undefined when there is none. */
  get<T>(table: string, id: string): T | undefined {
    const own = this.#own.get(table);
    if (own?.has(id)) return own.get(id) as T | undefined;
    const entity = this.base.get(table)?.get(id);
    if (entity instanceof Map) share(entity);
    return entity as T | undefined;
  }

  /** The session's own copy of an entity, made on first use; what is written to it stays in this session. */
  edit<T>(table: string, id: string): T {
    const own = this.#table(table);
    if (!own.has(id)) own.set(id, copyRow(this.base.get(table)?.get(id)));
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

  /** Throws on a table that the database does not have: no snapshot and no hash would show what is written there. */
  #table(table: string): Map<string, unknown> {
    if (!this.base.has(table)) throw new Error(`the database has no table ${table}`);
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
