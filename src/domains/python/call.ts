// How CPython 3.11 takes keyword arguments: `Class.invoke(data=..., **kwargs)`, with its messages for missing and extra
// ones. Types are not looked at. Test: test/unit/python.test.ts

import { type Dict, PythonError, type Value } from "./value.ts";

/** The arguments in the order of `names`; `path` is the dotted module, "Class" and "invoke" of the message. */
export function bind(path: { module: string; method: string }, names: readonly string[], kwargs: Dict): Value[] {
  if (kwargs.has("data"))
    throw new PythonError(`${path.module}.${path.method}() got multiple values for keyword argument 'data'`);
  return ordered(path.method, names, kwargs);
}

/** `method(**kwargs)`: the arguments in the order of `names`, all of which are required. */
export function ordered(method: string, names: readonly string[], kwargs: Dict): Value[] {
  const args = names.map((name) => kwargs.get(name));
  if (args.length === kwargs.size && !args.includes(undefined)) return args as Value[];
  for (const name of kwargs.keys())
    if (!names.includes(name)) throw new PythonError(`${method}() got an unexpected keyword argument '${name}'`);
  const missing = names.filter((name) => !kwargs.has(name)).map((name) => `'${name}'`);
  throw new PythonError(
    `${method}() missing ${missing.length} required positional argument${missing.length > 1 ? "s" : ""}: ${listed(missing)}`,
  );
}

function listed(names: readonly string[]): string {
  if (names.length < 3) return names.join(" and ");
  return `${names.slice(0, -1).join(", ")}, and ${names.at(-1)}`;
}
