// Amounts of money as the profile `fixed` keeps them: in whole cents. The profile `tau1` keeps what Python keeps.
// Test: test/unit/fixed.test.ts

import { add, less, type Numeric, round2, subtract } from "./number.ts";
import type { Value } from "./value.ts";

/** An amount that an agent wrote, in whole cents, as an int where none are left: 137.0 is 137. */
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
    paid.set(id, round2(add(paid.get(id) ?? 0n, amount)));
    left = round2(add(left, amount));
  }
  const refunds = new Map<string, Numeric>();
  for (const [id, amount] of paid) {
    const refund = less(left, amount) ? left : amount;
    if (!less(0n, refund)) continue;
    refunds.set(id, refund);
    left = round2(subtract(left, refund));
  }
  return refunds;
}
