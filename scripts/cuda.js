// `npm run build:cuda`: our kernels for a GPU, build/Release/libtarl_cuda.so. Needs no GPU (nvcc.js).

import { root, SetupError, setup } from "./setup.js";
import { cudaStep, steps } from "./steps.js";

try {
  const [packages, libtorch] = steps(root);
  await setup(root, [packages, libtorch, cudaStep(root)]);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
