// A stand-in for a language model that judges: sees the prompt and nothing else, reads it as a hasty reader would (the first
// whole JSON object of the message; what stands outside of it and gives orders is obeyed), and scores by simple rules.

interface Line {
  readonly role: string;
  readonly turn?: number;
  readonly text?: string;
  readonly call?: string;
  readonly arguments?: unknown;
  readonly unusable?: string;
  readonly failed?: boolean;
  readonly changed?: boolean;
}
interface Written {
  readonly name: string;
  readonly arguments: string;
}
interface Document {
  readonly instruction: string;
  readonly truth: {
    readonly calls: readonly Written[];
    readonly told: readonly string[];
    readonly lookups?: readonly Written[];
    readonly forbidden?: object;
  };
  readonly turns: number;
  readonly conversation: readonly Line[];
}

/** The answer to a request of the judge, as text. `messages` are those of the wire. */
export function judgeAsModel(messages: readonly { readonly role: string; readonly content: string }[]): string {
  const [instructions, { content }] = messages;
  const end = firstObjectEnd(content);
  const outside = instructions.content + content.slice(end);
  const document: Document = JSON.parse(content.slice(0, end));
  const obeys = /^\s*(SYSTEM:|<\|im_start\|>)/m.test(outside) || /<\|im_(start|end)\|>/.test(content);
  const scores = obeys ? Array.from({ length: document.turns }, () => 1) : score(document);
  return JSON.stringify({ turns: scores.map((score, i) => ({ turn: i + 1, reason: `as I see it: ${score}`, score })) });
}

/** Where the first JSON object ends, as a reader that knows strings sees it. */
function firstObjectEnd(text: string): number {
  let depth = 0;
  let inside = false;
  for (let i = 0; i < text.length; i++) {
    if (inside) {
      if (text[i] === "\\") i++;
      else if (text[i] === '"') inside = false;
    } else if (text[i] === '"') inside = true;
    else if (text[i] === "{") depth++;
    else if (text[i] === "}" && --depth === 0) return i + 1;
  }
  throw new Error("the prompt holds no whole object");
}

const SAYS_DONE =
  /\b(done|all set|taken care of|anything else|perfect job)\b|\b(is|are|was|been) (now )?(cancelled|changed|returned|exchanged|booked|updated|modified|refunded)\b/i;
const REFUSES = /\b(cannot|can't|not possible|unable)\b/i;

const TRANSFER = /transfer/;

function score({ instruction, truth, turns, conversation }: Document): number[] {
  const left = truth.calls.map(({ name, arguments: json }) => key(name, JSON.parse(json)));
  /** What serves a customer for whom nothing may be changed. */
  const wish =
    left.length > 0
      ? "change"
      : truth.lookups?.some(({ name }) => TRANSFER.test(name))
        ? "handover"
        : /want to know/.test(instruction)
          ? "information"
          : "refusal";
  const scores: number[] = Array.from({ length: turns }, () => 0);
  const seen = new Set<string>();
  let said = "";
  let served = false;
  let refused = false;
  let looked = false;
  let wrong = -1;
  let falseEnd = -1;
  for (const [i, line] of conversation.entries()) {
    if (line.role !== "agent" || falseEnd >= 0 || wrong >= 0) continue;
    const turn = line.turn! - 1;
    const own = line.call === undefined ? (line.text ?? "") : key(line.call, line.arguments);
    const useful = Number(!seen.has(own));
    seen.add(own);
    if (line.unusable !== undefined) {
      if (line.unusable === "cut") falseEnd = turn;
      continue;
    }
    if (line.call !== undefined) {
      const answer = conversation[i + 1];
      const at = left.indexOf(own);
      if (answer.changed && at < 0) wrong = turn;
      else if (answer.changed) left.splice(at, 1);
      if (TRANSFER.test(line.call)) served ||= wish === "handover";
      if (TRANSFER.test(line.call) && !served) falseEnd = turn;
      looked ||= !answer.failed;
      scores[turn] = answer.failed ? 0 : answer.changed ? 1 : useful;
      continue;
    }
    said += ` ${own.toLowerCase()}`;
    const told = truth.told.every((fact) => said.includes(fact.toLowerCase()));
    const asks = own.trim().endsWith("?");
    if (REFUSES.test(own)) {
      const right = wish === "refusal" ? told && looked : truth.forbidden !== undefined && !refused;
      if (right) scores[turn] = useful;
      else falseEnd = turn;
      served ||= wish === "refusal" && right;
      refused = true;
    } else if (SAYS_DONE.test(own) && (!asks || /anything else/.test(own))) {
      served ||= wish === "information" && told;
      if (left.length > 0 || !(served || wish === "change")) falseEnd = turn;
      else scores[turn] = useful;
    } else scores[turn] = asks ? useful : 0;
  }
  const unserved = left.length > 0 || (wish !== "change" && !served);
  if (falseEnd < 0 && wrong < 0 && unserved) falseEnd = turns - 1;
  if (falseEnd >= 0) return scores.map((_, turn) => (turn === falseEnd ? -1 : 0));
  return scores.map((score, turn) => (turn === wrong ? -1 : score));
}

/** A call with its arguments in alphabetical order. */
function key(name: string, args: unknown): string {
  const sorted = Object.entries(args as object).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${name} ${JSON.stringify(sorted)}`;
}
