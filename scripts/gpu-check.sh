#!/usr/bin/env bash
# All that is to be seen on a GPU, in one call and one table: doctor, speed beside PyTorch, COVID19-CT by the published recipe.
#
#   scripts/gpu-check.sh [--data DIR] [--parts build,doctor,speed,train] [--out DIR] [--python PYTHON]
#
#   --data DIR        the images of COVID19-CT as they are distributed; without them the quick start is trained, one epoch
#   --parts A,B       only these, in this order; `build` is needed once
#   --out DIR         where everything goes (gpu-check): table.txt, table.json, raw figures, logs, runs
#   --python PYTHON   one that has torch, for the opponent
#   --seeds 0,1,2     of the training
#   --epochs N        of the training (100)
#   --precision P     of the training: f32, tf32, bf16 (what the configuration says)
#   LIMIT_build, LIMIT_doctor, LIMIT_speed, LIMIT_train: seconds for each part (900, 600, 1500, 7200)
#
# A part that fails or takes too long is named in the table, and the next begins, unless it is the build: what was built before is
# never taken for it, and without `build` a program that is older than its sources is refused. What was seen stays in --out. Given
# again, the training goes on where it was; on a GPU its seeds run side by side. Without a GPU its half is left out, which is said,
# and the processor's half runs, small. Needs what scripts/cuda-build.sh needs, and on a GPU its libraries (docs/gpu.md, Running).
set -euo pipefail
cd "$(dirname "$0")/.."
usage() { sed -n '2,/^set /s/^# \{0,1\}//p' scripts/gpu-check.sh; }
data= parts=build,doctor,speed,train out=gpu-check python=python3 seeds=0,1,2 epochs= precision=
while [ $# -gt 0 ]; do
    case $1 in
        --data|--parts|--out|--python|--seeds|--epochs|--precision) declare "${1#--}=${2:?$1 needs a value}"; shift 2 ;;
        -h|--help) usage; exit 0 ;;
        *) echo "gpu-check: unknown: $1" >&2; usage >&2; exit 2 ;;
    esac
done
for name in ${parts//,/ }; do
    case $name in
        build|doctor|speed|train) ;;
        *) echo "gpu-check: no part is called $name (build, doctor, speed, train)" >&2; exit 2 ;;
    esac
done
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target/cuda}
hemf=$CARGO_TARGET_DIR/release/hemf
# A source that is newer than the program, of the files and folders that cargo says it was made of.
newer_source() {
    sed 's/^[^:]*: *//' "$hemf.d" | xargs -r sh -c 'find "$@" -type f -newer "$0" -print -quit' "$hemf" 2>/dev/null || true
}
case ,${parts// /,}, in
    *,build,*) ;;
    *)
        [ -x "$hemf" ] && [ -e "$hemf.d" ] || { echo "gpu-check: no $hemf: add the part build" >&2; exit 2; }
        newer=$(newer_source | head -1)
        [ -z "$newer" ] || { echo "gpu-check: $hemf is older than ${newer#"$PWD/"}: add the part build" >&2; exit 2; } ;;
esac
mkdir -p "$out"
rows=$out/rows.tsv
failed=0

if command -v nvidia-smi >/dev/null && nvidia-smi -L >"$out/cards" 2>/dev/null && [ -s "$out/cards" ]; then
    device=cuda:0
    card=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -1)
else
    device=cpu
    card="processor, $(nproc) cores"
    echo "gpu-check: no GPU (nvidia-smi lists none): its half is left out, the processor's half runs" >&2
fi

# PyTorch brings the libraries that hemf is linked with, where the system has them not.
# An empty entry would be the working folder.
brought=$("$python" -c 'import glob, os, nvidia
print(":".join(sorted({os.path.dirname(p) for r in nvidia.__path__ for p in glob.glob(r + "/**/lib/*.so*", recursive=True)})))' 2>/dev/null || true)
LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}${LD_LIBRARY_PATH:+${brought:+:}}$brought
[ -z "$LD_LIBRARY_PATH" ] || export LD_LIBRARY_PATH

# row PART WHAT: a line of the table.
row() { printf '%s\t%s\n' "$1" "$2" >>"$rows"; }

build() {
    if [ $device = cpu ]; then
        cargo build --release -p hemf-cli
    else
        scripts/cuda-build.sh build --release -p hemf-cli --features cuda,cudnn
    fi
}

doctor() {
    "$hemf" doctor --device $device
    [ $device = cpu ] && return
    # Not the default until it has passed here; a failure is this run's where the log has this line.
    echo "again, with the memory of freed tensors kept (HEMF_GPU_MEMORY=kept)"
    HEMF_GPU_MEMORY=kept "$hemf" doctor --device $device
}

speed() {
    local small=()
    [ $device != cpu ] || small=(--infer 1 --train 2 --rounds 1 --size 64 --limit 300)
    "$python" scripts/bench-vs-pytorch.py --hemf "$hemf" --python "$python" --device $device --out "$out/speed.jsonl" \
        ${small[@]+"${small[@]}"} | tee "$out/speed.txt"
}

train() {
    local config=() groups=("$seeds") group pids=() pid code=0 run
    if [ -n "$data" ]; then config=(configs/covid19-ct.yaml --data "$data"); else epochs=${epochs:-1}; fi
    [ $device != cpu ] || config+=(--set model.preset=hemf-nano --set data.preprocessing.size=64)
    [ $device = cpu ] || read -ra groups <<<"${seeds//,/ }"
    for group in "${groups[@]}"; do
        "$hemf" train "${config[@]}" ${epochs:+--epochs "$epochs"} ${precision:+--precision "$precision"} --device $device --seeds "$group" \
            --out "$out/runs" --json >"$out/train-$group.json" 2>"$out/train-$group.log" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || code=$?; done
    tail -qn 1 "$out"/train-*.log
    [ $code = 0 ] || { grep -h '^error' "$out"/train-*.log || true; return $code; }
    for run in "$out"/runs/*-seed*; do
        "$hemf" eval "$run" --device $device --json >"$out/eval-$(basename "$run").json"
    done
}

# part NAME SECONDS: runs it with a limit, keeps what it says, and adds its rows in place of those of an earlier call.
part() {
    local name=$1 limit=$2 code=0 begun=$SECONDS
    [ ! -e "$rows" ] || { grep -v "^$name	" "$rows" >"$rows.new" || true; mv "$rows.new" "$rows"; }
    echo "gpu-check: $name, at most $limit s" >&2
    export -f "$name"
    timeout --kill-after=20 "$limit" bash -c "set -euo pipefail; $name" >"$out/$name.log" 2>&1 || code=$?
    local last=
    [ $code = 0 ] || last=$(grep '^error' "$out/$name.log" | tail -1 || true)
    last=${last:-$(tail -1 "$out/$name.log")}
    last=${last:0:140}
    case $code in
        0) [ "$name" = speed ] || row "$name" "passed in $((SECONDS - begun)) s: $last" ;;
        124|137) failed=1; row "$name" "CUT OFF after $limit s: $last" ;;
        *) failed=1; row "$name" "FAILED with code $code: $last" ;;
    esac
    case $name in
        speed) [ ! -s "$out/speed.txt" ] || while IFS= read -r line; do row speed "$line"; done <"$out/speed.txt" ;;
        train) "$python" - "$out" "$data" >>"$rows" <<'PYTHON' || true
import glob, json, statistics, sys
found = {path: json.load(open(path)) for path in sorted(glob.glob(sys.argv[1] + "/eval-*.json"))}
accuracy = [report["accuracy"] for report in found.values()]
for path, value in zip(found, accuracy):
    print(f"train\t{path.rsplit('eval-', 1)[1][:-5]}: test accuracy {100 * value:.2f} % ({found[path]['split']} images)")
if len(accuracy) > 1:
    published = "; published: 82.26 %" if sys.argv[2] else ""
    print(f"train\tmean {100 * statistics.mean(accuracy):.2f} %, standard deviation {100 * statistics.stdev(accuracy):.2f}"
          + published)
PYTHON
            ;;
    esac
}

export device out data python seeds epochs precision hemf
for name in ${parts//,/ }; do
    case $name in
        build) part build "${LIMIT_build:-900}" ;;
        doctor) part doctor "${LIMIT_doctor:-600}" ;;
        speed) part speed "${LIMIT_speed:-1500}" ;;
        train) part train "${LIMIT_train:-7200}" ;;
    esac
    [ "$name" != build ] || grep -q '^build	passed' "$rows" || break
done

{ printf '%s\n' "$card"; while IFS=$'\t' read -r name what; do printf '%-7s %s\n' "$name" "$what"; done <"$rows"; } | tee "$out/table.txt"
"$python" - "$out" "$card" <<'PYTHON'
import json, pathlib, sys
out, card = pathlib.Path(sys.argv[1]), sys.argv[2]
rows = [line.split("\t", 1) for line in (out / "rows.tsv").read_text().splitlines()]
speed = out / "speed.jsonl"
lines = [json.loads(line) for line in speed.read_text().splitlines()] if speed.exists() else []
(out / "table.json").write_text(json.dumps({"card": card, "rows": rows, "speed": lines}, indent=1) + "\n")
PYTHON
echo "gpu-check: everything is in $out" >&2
exit $failed
