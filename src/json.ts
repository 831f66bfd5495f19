// JSON of values that only domains hold. Test: test/unit/record.test.ts

/** For JSON.stringify: a call's arguments may be Maps and bigints; whole numbers that JSON readers would round stay text. */
export function plainJson(_: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  if (typeof value !== "bigint") return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}
