// Exact numbers: what is written in digits alone, as a fraction of whole numbers. Not for anything with a root or a letter.
// Test: test/unit/grading.test.ts

/** In lowest terms, `bottom` above 0. */
export interface Fraction {
  readonly top: bigint;
  readonly bottom: bigint;
}

/** Digits of a number, and the exponent, beyond which nobody needs it exact. */
const MOST_DIGITS = 400;
const MOST_EXPONENT = 400;

const DECIMAL = String.raw`\d+(?:\.\d*)?|\.\d+`;
const WHOLE = new RegExp(`^(${DECIMAL})(?:[eE]([-+]?\\d+))?$`);
const TENS = new RegExp(
  `^(${DECIMAL})?(?:\\s*(?:\\\\times|\\\\cdot|\\*|x)\\s*)?10\\s*(?:\\^|\\*\\*)\\s*(?:\\{([-+]?\\d+)\\}|([-+]?\\d+))$`,
);
const RATIO = /^\\frac\s*\{([^{}]+)\}\s*\{([^{}]+)\}$/;
const SLASH = /^\(?\s*([^/()]+?)\s*\)?\s*\/\s*\(?\s*([^/()]+?)\s*\)?$/;
const MIXED = /^(\d+)\s*(\\frac\s*\{\d+\}\s*\{\d+\}|(?<=\d\s+)\d+\s*\/\s*\d+)$/;
const GROUPED = /^\d{1,3}(,\d{3})+(?=\.|$)/;

/** Null where the text is no such number. */
export function readNumber(written: string): Fraction | null {
  let text = written.trim();
  if (text.length > MOST_DIGITS) return null;
  let negative = false;
  for (let sign = /^[-+]\s*/.exec(text); sign; sign = /^[-+]\s*/.exec(text)) {
    if (sign[0][0] === "-") negative = !negative;
    text = text.slice(sign[0].length);
  }
  const size = unsigned(GROUPED.test(text) ? text.replaceAll(",", "") : text);
  return size && negative ? { ...size, top: -size.top } : size;
}

function unsigned(text: string): Fraction | null {
  const mixed = MIXED.exec(text);
  if (mixed) {
    const [whole, part] = [unsigned(mixed[1]), unsigned(mixed[2])];
    return whole && part && lowest(whole.top * part.bottom + part.top, part.bottom);
  }
  const ratio = RATIO.exec(text) ?? SLASH.exec(text);
  if (ratio) {
    const [top, bottom] = [readNumber(ratio[1]), readNumber(ratio[2])];
    return top && bottom && bottom.top !== 0n ? lowest(top.top * bottom.bottom, top.bottom * bottom.top) : null;
  }
  const tens = TENS.exec(text);
  if (tens) return decimal(tens[1] ?? "1", Number(tens[2] ?? tens[3]));
  const whole = WHOLE.exec(text);
  return whole && decimal(whole[1], Number(whole[2] ?? 0));
}

function decimal(digits: string, exponent: number): Fraction | null {
  if (Math.abs(exponent) > MOST_EXPONENT) return null;
  const [whole, part = ""] = digits.split(".");
  const shift = exponent - part.length;
  const top = BigInt(whole + part);
  return shift >= 0 ? lowest(top * 10n ** BigInt(shift), 1n) : lowest(top, 10n ** BigInt(-shift));
}

function lowest(top: bigint, bottom: bigint): Fraction {
  let [a, b] = [top < 0n ? -top : top, bottom < 0n ? -bottom : bottom];
  while (b) [a, b] = [b, a % b];
  const sign = bottom < 0n ? -1n : 1n;
  return a === 0n ? { top: 0n, bottom: 1n } : { top: (sign * top) / a, bottom: (sign * bottom) / a };
}

export function sameNumber(one: Fraction, other: Fraction): boolean {
  return one.top === other.top && one.bottom === other.bottom;
}
