#!/usr/bin/env bash
# Builds hemf with CUDA; works without a GPU, a driver and an installed toolkit.
#
#   scripts/cuda-build.sh [cargo arguments]      default: build --release -p hemf-cli --features cuda
#   scripts/cuda-build.sh build --release -p hemf-cli --features nccl      for several GPUs
#   scripts/cuda-build.sh --setup                prepares the toolkit and stops
#
# Where CUDA_HOME names a toolkit, or nvcc is in PATH, that is used. Otherwise the compiler and headers of CUDA 13.0 are
# taken from NVIDIA's packages on PyPI (200 MB, once) into $HEMF_CUDA (default ~/.cache/hemf/cuda-13.0), and the
# libraries that come with the driver or with PyTorch (libcuda, cuBLAS, cuRAND, cuDNN, NCCL) are linked against stand-ins made
# here: on a machine with a GPU the real ones are found when the program starts (docs/gpu.md).
#
# CUDA_COMPUTE_CAP is the card's generation: 80 A100, 86 RTX 30, 89 RTX 40 and L4, 90 H100 (default), 120 RTX 50.
# Needs bash, cargo, gcc and g++ (up to 15), python3 with pip.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'cuda-build: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

complete=complete-2 # changed with what belongs to it
home=${HEMF_CUDA:-${XDG_CACHE_HOME:-$HOME/.cache}/hemf/cuda-13.0}
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}

# stand_in SONAME RESULT < names: a library with each name as a function that returns RESULT (NAME: a text).
stand_in() {
    local source=$home/lib/stubs/source.c
    sort -u | awk -v result="$2" '
        /^(cu(blas|dnn|blasLt|rand)|nccl).*(String|LastError)$|^cublas(Lt)?GetStatusName$/ { print "const char *" $1 "(void) { return \"a stand-in\"; }"; next }
        { print "int " $1 "(void) { return " result "; }" }' >"$source"
    gcc -shared -fPIC -w -fno-builtin -Wl,-soname,"$1" -o "$home/lib/stubs/$1" "$source"
    ln -sf "$1" "$home/lib/stubs/${1%%.so.*}.so"
    rm "$source"
}

# The functions that the bindings in the lock file declare of a library.
functions_of() { grep -ohE "\bfn $2[A-Z][A-Za-z0-9_]*" "$bindings/src/$1/sys/mod.rs" | sed 's/fn //'; }

fetch_toolkit() {
    for tool in gcc g++ python3 cargo; do command -v $tool >/dev/null || fail "needs $tool"; done
    say "fetching the CUDA 13.0 compiler into $home"
    rm -rf "$home"; mkdir -p "$home/lib/stubs"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --target "$home/packages" \
        nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-nvrtc==13.0.88 \
        nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85 >&2
    cp -al "$home/packages/nvidia/cu13/." "$home/"
    rm -rf "$home/packages"
    ln -sfn lib "$home/lib64"
    chmod +x "$home"/bin/* "$home"/nvvm/bin/* 2>/dev/null || true
    local file name
    for file in "$home"/lib/lib*.so.*; do
        name=$(basename "$file")
        case $name in *.alt.so.*) ;; *) ln -sf "$name" "$home/lib/${name%%.so.*}.so" ;; esac
    done
    bindings=$(cargo metadata --format-version 1 --features hemf-cli/cudnn --quiet | python3 -c '
import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(next(os.path.dirname(p["manifest_path"]) for p in packages if p["name"] == "cudarc"))')
    grep -ohE '\bcu[A-Z][A-Za-z0-9_]*' "$home/include/cuda.h" | stand_in libcuda.so.1 100 # no device
    functions_of cublas cublas | grep -v '^cublasLt' | stand_in libcublas.so.13 1
    functions_of cublaslt cublasLt | stand_in libcublasLt.so.13 1
    functions_of curand curand | stand_in libcurand.so.10 101
    functions_of cudnn cudnn | stand_in libcudnn.so.9 1
    functions_of nccl nccl | stand_in libnccl.so.2 1
    touch "$home/$complete"
}

if [ -z "${CUDA_HOME:-}" ] && command -v nvcc >/dev/null; then
    CUDA_HOME=$(dirname "$(dirname "$(readlink -f "$(command -v nvcc)")")")
elif [ -z "${CUDA_HOME:-}" ]; then
    [ -e "$home/$complete" ] || fetch_toolkit
    CUDA_HOME=$home
fi
[ -x "$CUDA_HOME/bin/nvcc" ] || fail "$CUDA_HOME/bin/nvcc is not there; unset CUDA_HOME to have a compiler fetched"
export CUDA_HOME CUDA_PATH=$CUDA_HOME PATH=$CUDA_HOME/bin:$PATH
say "$("$CUDA_HOME/bin/nvcc" --version | sed -n 4p), compute capability $CUDA_COMPUTE_CAP"

# candle-kernels also compiles products with quantized weights, minutes each, that hemf never calls: this compiler puts a
# function that aborts in the place of each.
mkdir -p "$home"
cat >"$home/nvcc-without-quantized" <<'WRAPPER'
#!/bin/sh
out= before= source=
for argument do
    [ "$before" = -o ] && out=$argument
    before=$argument source=$argument
done
case ${source##*/} in
    mmq_instance_*.cu) names=launch_mmq_gguf_$(basename "$source" .cu | sed 's/^mmq_instance_//') ;;
    mmq_quantize.cu) names='launch_mmq_quantize_[A-Za-z0-9_]+' ;;
    mmvq_gguf.cu) names='launch_mmvq_[A-Za-z0-9_]+' ;;
    moe_gguf.cu) names=moe_gemm_gguf ;;
    moe_wmma.cu) names=moe_gemm_wmma ;;
    moe_wmma_gguf.cu) names=moe_gemm_gguf_prefill ;;
    *) exec "$CUDA_HOME/bin/nvcc" "$@" ;;
esac
folder=$(dirname "$source")
for declared in "$folder/ffi.rs" "$folder/../ffi.rs"; do [ -f "$declared" ] && break; done
[ -f "$declared" ] && [ -n "$out" ] || exec "$CUDA_HOME/bin/nvcc" "$@"
{
    echo '#include <stdlib.h>'
    grep -oE "pub fn $names\(" "$declared" | sed -E 's/pub fn (.*)\(/void \1(void) { abort(); }/' | sort -u
} | gcc -x c -O1 -fPIC -c -o "$out" -
WRAPPER
chmod +x "$home/nvcc-without-quantized"
export NVCC=$home/nvcc-without-quantized CUDAFORGE_THREADS=${CUDAFORGE_THREADS:-$(nproc)}

[ "${1:-}" != --setup ] || exit 0
# A folder of its own: builds with and without CUDA would otherwise replace each other's.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target/cuda}
[ $# -gt 0 ] || set -- build --release -p hemf-cli --features cuda
say "cargo $*"
exec cargo "$@"
