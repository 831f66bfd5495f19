#!/usr/bin/env bash
# Builds and checks everything on a bare machine with a GPU: python3 with torch 2.11 or newer, nvcc 13, cmake, g++; no
# network, no Node. Prints one Markdown table, and writes the same as JSON. Nothing is left out in silence: a stage
# that cannot run is a line of the table, and any that is not `ok` makes the exit code 1.
#
#   scripts/gpu.sh --pack FILE.tar.gz     where the project is set up: Node, its packages and dist/ in one file
#   scripts/gpu.sh FILE.tar.gz|FOLDER     on the machine with the GPU, in a checkout; logs and gpu.json in $OUT,
#                                         or else in build/gpu
#
# Options of the second form, as variables: STAGES="build kernels" runs only these; BENCH_SHAPE and BENCH_ARGS are what
# the benchmarks measure; MINUTES bounds one stage (20).
set -uo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --pack ]; then
  set -e
  file=$(realpath -m "${2:?FILE.tar.gz}")
  [ -f dist/src/cli/main.js ] || { echo "dist/ is missing: npx tsc -p ." >&2; exit 2; }
  part=$(mktemp -d)
  trap 'rm -rf "$part"' EXIT
  mkdir -p "$part/bin"
  cp "$(readlink -f "$(command -v node)")" "$part/bin/node"
  strip "$part/bin/node"
  # What runs, and the headers of Node's interface for the addon; dist/ is compiled, so TypeScript stays here.
  npm ls --omit=dev --all --parseable 2>/dev/null | grep /node_modules/ | sed 's|.*/node_modules/|node_modules/|' |
    grep -v '^node_modules/typescript$' | sort -u |
    tar -ch --exclude='*.map' --exclude='*.d.ts' --exclude='*.d.mts' --exclude='*.d.cts' -T - | tar -x -C "$part"
  cp -rL dist "$part/dist"
  tar -czf "$file" -C "$part" .
  echo "$file: $(du -h "$file" | cut -f1)"
  exit 0
fi

bundle=${1:?the bundle that --pack made}
out=${OUT:-$PWD/build/gpu}
mkdir -p "$out"
out=$(realpath "$out")
if [ -d "$bundle" ]; then
  bundle=$(realpath "$bundle")
else
  mkdir -p build/bundle && tar -xzf "$bundle" -C build/bundle || exit 2
  bundle=$(realpath build/bundle)
fi
export PATH="$bundle/bin:$PATH"
[ -e node_modules ] || ln -s "$bundle/node_modules" node_modules
[ -e dist ] || ln -s "$bundle/dist" dist

LIBTORCH=$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))')
export LIBTORCH
version=$(python3 -c 'import torch; print(torch.__version__)')
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -1)
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -1)
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
jobs=$(nproc)
limit=$(( ${MINUTES:-20} * 60 ))
names=() results=() seconds=() notes=()

# stage NAME COMMAND...: its output goes to $out/NAME.log; the last line of that is the note.
stage() {
  local name=$1 begin=$SECONDS code note
  shift
  [[ -n ${STAGES:-} && " $STAGES " != *" $name "* ]] && return 0
  echo "gpu.sh: $name" >&2
  timeout "$limit" "$@" >"$out/$name.log" 2>&1
  code=$?
  note=$(grep -av '^[[:space:]]*$' "$out/$name.log" | tail -1 | tr -d '|"\\[:cntrl:]' | cut -c1-160)
  names+=("$name") seconds+=($((SECONDS - begin))) notes+=("$note")
  case $code in
    0) results+=(ok) ;;
    124) results+=("stopped after $limit s") ;;
    *) results+=("FAILED ($code)") ;;
  esac
  return $code
}
missing() {
  [[ -n ${STAGES:-} && " $STAGES " != *" $1 "* ]] && return 0
  names+=("$1") results+=("NOT RUN") seconds+=(0) notes+=("$2")
}

build() {
  cmake -S . -B build/cmake && cmake --build build/cmake --parallel "$jobs" &&
    node -e 'require("./build/Release/tarl.node")' && echo "libtorch $version"
}
build_cuda() {
  cmake -S . -B build/cuda -DTARL_CUDA=ON -DCMAKE_CUDA_COMPILER="$nvcc" &&
    cmake --build build/cuda --parallel "$jobs" && "$nvcc" --version | grep release
}
# Runs a test file as scripts/test.js would; one that skips has not been run.
tests() {
  local said code
  said=$(mktemp)
  node --enable-source-maps "dist/test/$1.test.js" | tee "$said"
  code=${PIPESTATUS[0]}
  grep -q '^SKIP' "$said" && code=3
  rm "$said"
  return "$code"
}
learn() {
  node dist/src/cli/main.js --algo grpo --tarl --device cuda --dtype "$1" --steps 3 --tasks-per-step 4 \
    --samples 4 --eval-tasks 8 --trials 1 --run "gpu-$1-$$"
}
bench() {
  local name=$1
  shift
  # shellcheck disable=SC2086
  node --enable-source-maps "dist/bench/$name.js" --device cuda --dtype bf16 "$@" ${BENCH_ARGS:-}
}
export -f build build_cuda tests learn bench
export version jobs nvcc

if [ -z "$gpu" ]; then
  missing all "nvidia-smi finds no GPU"
else
  stage build bash -c build
  built=$?
  stage build-cuda bash -c build_cuda
  stage kernels build/cuda/gpu_test
  if command -v compute-sanitizer >/dev/null; then
    stage sanitizer compute-sanitizer --error-exitcode 9 build/cuda/gpu_test
    stage racecheck compute-sanitizer --tool racecheck --error-exitcode 9 build/cuda/gpu_test
  else
    missing sanitizer "compute-sanitizer is not installed"
    missing racecheck "compute-sanitizer is not installed"
  fi
  if [ $built -eq 0 ]; then
    stage engine bash -c 'tests gpu/engine'
    stage learn-fp32 bash -c 'learn fp32'
    stage learn-bf16 bash -c 'learn bf16'
    shape=${BENCH_SHAPE:-qwen3-8b}
    stage decode-1 bash -c "bench decode --shape $shape --batch 1 --prompt 512 --new 256"
    stage decode-64 bash -c "bench decode --shape $shape --batch 64 --group 64 --prompt 3072 --new 256"
    stage prefill bash -c "bench prefill --shape $shape --batch 8 --prompt 3072"
    stage train bash -c "bench train --shape $shape --batch 4 --prompt 3072 --new 1024"
    stage step bash -c "bench step --shape $shape --batch 256 --group 8 --prompt 3072 --new 1024"
  else
    for name in engine learn-fp32 learn-bf16 decode-1 decode-64 prefill train step; do
      missing "$name" "the addon was not built"
    done
  fi
fi

wrong=0
{
  printf '| %s, driver %s, torch %s | result | s | last line |\n|---|---|---|---|\n' "${gpu:-no GPU}" "${driver:-none}" "$version"
  for i in "${!names[@]}"; do
    printf '| %s | %s | %s | %s |\n' "${names[i]}" "${results[i]}" "${seconds[i]}" "${notes[i]}"
  done
} | tee "$out/gpu.md"
{
  printf '{"gpu":"%s","driver":"%s","torch":"%s","stages":[' "$gpu" "$driver" "$version"
  for i in "${!names[@]}"; do
    [ "$i" -gt 0 ] && printf ','
    printf '{"name":"%s","result":"%s","seconds":%s,"note":"%s"}' "${names[i]}" "${results[i]}" "${seconds[i]}" "${notes[i]}"
  done
  printf ']}\n'
} >"$out/gpu.json"
for result in "${results[@]}"; do [ "$result" = ok ] || wrong=1; done
echo "gpu.sh: logs and gpu.json are in $out"
exit $wrong
