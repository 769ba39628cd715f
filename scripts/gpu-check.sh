#!/usr/bin/env bash
# All that is to be seen on a GPU, in one call and one table: doctor, a training run, and speed beside PyTorch.
#
#   scripts/gpu-check.sh [PYTORCH_SCRIPT]
#
# PYTORCH_SCRIPT is the opponent: a script that takes --device, --mode infer|train, --batch N, --amp none|bf16, --compile and
# prints a JSON line with "images_per_s"; without one, hemf is timed alone. Without a GPU the GPU's part is left out, which
# is said, and the processor's part runs (with small batches).
# Needs what scripts/cuda-build.sh needs, and on a GPU its libraries (docs/gpu.md, Running).
set -euo pipefail
cd "$(dirname "$0")/.."
opponent=${1:-}
log=$(mktemp -d)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target/cuda}
row() { printf '| %-34s | %-60s |\n' "$1" "$2"; }

if command -v nvidia-smi >/dev/null && nvidia-smi -L >"$log/cards" 2>/dev/null; then
    device=cuda:0
    scripts/cuda-build.sh build --release -p hemf-cli --features cuda
    infer="1 32 256" train="32 128" repeats=20
else
    device=cpu
    echo "gpu-check: no GPU (nvidia-smi lists none): its part is left out, the processor's part runs" >&2
    cargo build --release -p hemf-cli
    infer="1" train="2" repeats=2
fi
hemf=$CARGO_TARGET_DIR/release/hemf

# number KEY: the value of KEY in the JSON line on stdin.
number() { python3 -c 'import json, sys; print(round(json.loads(sys.stdin.readlines()[-1])[sys.argv[1]], 1))' "$1"; }
table=$log/table
row "what" "$(head -1 "$log/cards" 2>/dev/null || echo "processor")" >"$table"
row "---" "---" >>"$table"

failed=0
if "$hemf" doctor --device $device >"$log/doctor" 2>&1; then verdict=passed; else verdict=FAILED failed=1; fi
row "doctor" "$verdict: $(tail -1 "$log/doctor")" >>"$table"
if "$hemf" train --device $device --epochs 1 --out "$log/runs" >"$log/train" 2>&1; then
    row "quick start, one epoch" "$(grep -h '^best' "$log/train" | cut -c1-60)" >>"$table"
else
    row "quick start, one epoch" "FAILED: $(tail -1 "$log/train")" >>"$table"; failed=1
fi
for mode in infer train; do
    for batch in ${!mode}; do
        row "$mode, batch $batch, hemf f32" "$("$hemf" bench $mode --batch "$batch" --repeat $repeats --device $device --json | number images_per_s) images/s" >>"$table"
        [ -n "$opponent" ] || continue
        for flags in "--amp none" "--amp bf16" "--amp bf16 --compile"; do
            if said=$(python3 "$opponent" --device "${device%%:*}" --mode $mode --batch "$batch" $flags 2>"$log/opponent"); then
                row "$mode, batch $batch, PyTorch $flags" "$(number images_per_s <<<"$said") images/s" >>"$table"
            else
                row "$mode, batch $batch, PyTorch $flags" "did not run: $(tail -1 "$log/opponent" | cut -c1-40)" >>"$table"
            fi
        done
    done
done
cat "$table"
echo "gpu-check: details in $log" >&2
exit $failed
