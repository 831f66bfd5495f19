// Amounts of money as the profile `fixed` keeps them: whole cents, an int where no cents are left, so that 137 and 137.0
// are one amount. The profile `tau1` keeps what Python keeps. Test: test/unit/airline.test.ts

import { add, less, type Numeric, negative, round2 } from "./number.ts";
import type { Value } from "./value.ts";

/** The amount in whole cents. */
export function money(amount: Value): Numeric {
  const rounded = round2(add(amount, 0n));
  return Number.isInteger(rounded) ? BigInt(rounded) : rounded;
}

/**
 * What a refund of all that is still paid gives back to each method, given every payment (and, below 0, refund) so far.
 * A refund that went to another method than the one that had paid leaves as much less to give back.
 */
export function stillPaid(rows: readonly (readonly [id: string, amount: Value])[]): Map<string, Numeric> {
  const paid = new Map<string, Numeric>();
  let left: Numeric = 0n;
  for (const [id, amount] of rows) {
    paid.set(id, money(add(paid.get(id) ?? 0n, amount)));
    left = money(add(left, amount));
  }
  const refunds = new Map<string, Numeric>();
  for (const [id, amount] of paid) {
    const refund = less(amount, left) ? amount : left;
    if (!less(0n, refund)) continue;
    refunds.set(id, refund);
    left = money(add(left, negative(refund)));
  }
  return refunds;
}
