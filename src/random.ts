// Seeded random numbers for the TypeScript side: tasks, users, task order, bootstrap. The same seeds give the same
// numbers everywhere. Not the sampler's generator (that one is native and counter-based), and not for secrets.
// Test: test/unit/random.test.ts

/** One stream of random numbers, named by its seeds: `new Random(seed, "tasks", 3)`. */
export class Random {
  readonly #state: Uint32Array;

  /** Equal seeds, in the same order, give equal streams; 1 and "1" are different seeds. */
  constructor(...seeds: (number | string)[]) {
    const bytes = encode(seeds);
    this.#state = Uint32Array.of(1, 2, 3, 4).map((lane) => murmur3(bytes, lane));
  }

  /** Uniform in [0, 1), 53 bits. */
  float(): number {
    const high = xoshiro128(this.#state) >>> 5;
    const low = xoshiro128(this.#state) >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** Uniform in 0 .. n-1 without modulo bias; `n` is an integer from 1 to 2^32. */
  int(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 2 ** 32)
      throw new RangeError(`Random.int(${n}): expected an integer from 1 to 2^32`);
    const limit = 2 ** 32 - (2 ** 32 % n);
    for (;;) {
      const draw = xoshiro128(this.#state);
      if (draw < limit) return draw % n;
    }
  }

  /** One element; throws on an empty list. */
  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)];
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.float() < p;
  }

  /** A shuffled copy (Fisher-Yates). */
  shuffle<T>(list: readonly T[]): T[] {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  }
}

/** A uint32 seed made from seeds and labels: `derive(seed, "rollout", task.id, sample)`. */
export function derive(...seeds: (number | string)[]): number {
  return murmur3(encode(seeds), 0);
}

/** Steps the state and returns a uint32. xoshiro128** 1.1 (Blackman and Vigna, arXiv:1805.01407). */
export function xoshiro128(state: Uint32Array): number {
  const result = Math.imul(rotate(Math.imul(state[1], 5), 7), 9) >>> 0;
  const shifted = state[1] << 9;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = rotate(state[3], 11);
  return result;
}

/** MurmurHash3 x86 32 (Appleby, public domain): uint32. */
export function murmur3(bytes: Uint8Array, seed: number): number {
  const scramble = (word: number) => Math.imul(rotate(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
  const whole = bytes.length & ~3;
  let hash = seed;
  for (let i = 0; i < whole; i += 4) {
    hash ^= scramble(bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24));
    hash = (Math.imul(rotate(hash, 13), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let i = bytes.length - 1; i >= whole; i--) tail = (tail << 8) | bytes[i];
  hash ^= scramble(tail) ^ bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** JSON keeps numbers, strings and their borders apart. */
function encode(seeds: readonly (number | string)[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(seeds));
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
