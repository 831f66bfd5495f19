// Bytes as a person reads them. Not tokens or times: run/progress.ts. Test: test/unit/memory.test.ts

/** "1.24 GB", "15.3 MB", "300 kB": decimal units, as disks and GPUs are sold. */
export function bytesText(bytes: number): string {
  const [size, unit] = bytes >= 1e9 ? [bytes / 1e9, "GB"] : bytes >= 1e6 ? [bytes / 1e6, "MB"] : [bytes / 1e3, "kB"];
  return `${size >= 100 ? size.toFixed(0) : size.toPrecision(3)} ${unit}`;
}
