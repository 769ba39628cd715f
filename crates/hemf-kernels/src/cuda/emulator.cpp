// Runs one launch of a kernel on the processor, so that tests can prove its arithmetic where there is no GPU.
//
// Standard input is the launch as emulator.rs writes it, standard output the buffers that it wrote. Each thread of a block
// is a fiber that runs until it waits for others; the next then goes on. What a GPU leaves to chance is tried in two ways:
// blocks and threads run upwards and then, from the same inputs, downwards. A value that is read before the barrier that it
// needs differs between the two, and the program fails. So it does where a thread does not come to a barrier, an argument is
// of another type than the parameter, and, built with the sanitizers, outside any buffer: each is an allocation of its own.
// What was never written is NaN.
#include "kernels.cu"
#include "faults.cu"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)
#define ASAN_UNPOISON_MEMORY_REGION(at, size)
#endif

#include <cstdio>
#include <cstdlib>
#include <vector>

Dim3 gridDim, blockDim, blockIdx, threadIdx;
Kernel* Kernel::all = nullptr;

[[noreturn]] static void fail(const char* what, const char* of = "") {
    std::fprintf(stderr, "%s%s\n", what, of);
    std::exit(1);
}

struct Argument {
    char kind;          // u and f: one or more sizes or numbers; i and o: a buffer to read, to write; I and B: some to read, to change
    size_t value_size;  // in bytes
    std::vector<std::vector<char>> given;
    std::vector<size_t> beyond;  // a multiple of 16 bytes each begins
    std::vector<char*> buffers;
};

static std::vector<Argument> arguments;
static size_t taken;

void* Arguments::next(char kind, size_t value_size) {
    if (taken >= arguments.size()) fail("the kernel has more parameters than arguments were given");
    Argument& argument = arguments[taken++];
    if (argument.kind != kind || argument.value_size != value_size) {
        std::fprintf(stderr, "argument %zu is '%c' of %zu bytes, the parameter '%c' of %zu\n", taken - 1, argument.kind,
                     argument.value_size, kind, value_size);
        std::exit(1);
    }
    return kind == 'I' || kind == 'B' ? static_cast<void*>(argument.buffers.data()) : argument.buffers[0];
}

enum class State { Ready, AtWarp, AtBlock, Done };

// Stacks that take turns. `start` prepares one for a function that never returns; `change` leaves one for another.
#if defined(__x86_64__)
using Stack = void*;

// What a called function must leave as it was is kept on the stack that is left.
extern "C" void change(Stack* from, const Stack* to);
asm(".text\n.globl change\nchange:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp, (%rdi)\nmov (%rsi), %rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");

static void start(Stack* stack, char* memory, size_t size, void (*run)()) {
    // Six registers and where to go on; a function begins with its stack 8 off a multiple of 16.
    void** top = reinterpret_cast<void**>(memory + size) - 8;
    std::memset(top, 0, 8 * sizeof *top);
    top[6] = reinterpret_cast<void*>(run);
    *stack = top;
}
#else
#include <ucontext.h>
using Stack = ucontext_t;

static void change(Stack* from, const Stack* to) { swapcontext(from, to); }

static void start(Stack* stack, char* memory, size_t size, void (*run)()) {
    getcontext(stack);
    stack->uc_stack.ss_sp = memory;
    stack->uc_stack.ss_size = size;
    makecontext(stack, run, 0);
}
#endif

struct Fiber {
    Stack stack;
    State state;
    // What it shows to the others of its warp, and in which of the two it is the turn of the next exchange.
    float shown[2];
    unsigned turn;
};

constexpr size_t STACK = 64 << 10;
static std::vector<Fiber> fibers;
static char* stacks;
static Stack scheduler;
static const Kernel* kernel;
static char* shared;

void* shared_memory() { return shared; }

static void wait_in(State state) {
    unsigned thread = threadIdx.x;
    fibers[thread].state = state;
    change(&fibers[thread].stack, &scheduler);
    threadIdx.x = thread;
}

void __syncthreads() { wait_in(State::AtBlock); }
void __syncwarp() { wait_in(State::AtWarp); }

float __shfl_sync(unsigned mask, float value, unsigned lane) {
    if (mask != 0xffffffffu) fail("a shuffle of less than a warp");
    Fiber& self = fibers[threadIdx.x];
    const Fiber& other = fibers[threadIdx.x / 32 * 32 + lane % 32];
    // The next exchange uses the other place, so nothing is overwritten before all have read it.
    unsigned turn = self.turn++ % 2;
    self.shown[turn] = value;
    __syncwarp();
    return other.shown[turn];
}

float __shfl_xor_sync(unsigned mask, float value, unsigned apart) {
    return __shfl_sync(mask, value, (threadIdx.x % 32) ^ apart);
}

static void thread_main() {
    Arguments all;
    taken = 0;
    kernel->call(kernel->run, all);
    wait_in(State::Done);
}

// Lets the threads of [first, last) go on that wait as told, if all of them do.
static bool release(unsigned first, unsigned last, State waiting) {
    for (unsigned i = first; i < last; i++)
        if (fibers[i].state != waiting) return false;
    for (unsigned i = first; i < last; i++) fibers[i].state = State::Ready;
    return true;
}

static void run_block(bool upwards, size_t shared_size) {
    unsigned threads = blockDim.x;
    shared = static_cast<char*>(std::malloc(shared_size));
    std::memset(shared, 0xff, shared_size);
    for (unsigned i = 0; i < threads; i++) {
        fibers[i].state = State::Ready;
        fibers[i].turn = 0;
        // A thread that is done leaves its last functions on its stack.
        ASAN_UNPOISON_MEMORY_REGION(stacks + i * STACK, STACK);
        start(&fibers[i].stack, stacks + i * STACK, STACK, thread_main);
    }
    for (;;) {
        bool any = false;
        for (unsigned step = 0; step < threads; step++) {
            unsigned i = upwards ? step : threads - 1 - step;
            if (fibers[i].state != State::Ready) continue;
            any = true;
            threadIdx.x = i;
            change(&scheduler, &fibers[i].stack);
        }
        for (unsigned i = 0; i < threads; i += 32) any |= release(i, i + 32, State::AtWarp);
        any |= release(0, threads, State::AtBlock);
        if (!any) break;
    }
    for (unsigned i = 0; i < threads; i++)
        if (fibers[i].state != State::Done) fail("threads wait at a barrier that others do not come to");
    std::free(shared);
}

static std::vector<std::vector<char>> run_grid(bool upwards, size_t shared_size) {
    for (Argument& argument : arguments) {
        // As many as a kernel can be told of; null for what is not there.
        argument.buffers.assign(MOST, nullptr);
        for (size_t i = 0; i < argument.given.size(); i++) {
            const std::vector<char>& given = argument.given[i];
            char* room = static_cast<char*>(std::malloc(argument.beyond[i] + given.size()));
            ASAN_POISON_MEMORY_REGION(room, argument.beyond[i]);
            argument.buffers[i] = room + argument.beyond[i];
            std::memcpy(argument.buffers[i], given.data(), given.size());
        }
    }
    for (unsigned step = 0; step < gridDim.x; step++) {
        blockIdx.x = upwards ? step : gridDim.x - 1 - step;
        run_block(upwards, shared_size);
    }
    std::vector<std::vector<char>> written;
    for (Argument& argument : arguments) {
        for (size_t i = 0; i < argument.given.size(); i++) {
            char* buffer = argument.buffers[i];
            if (argument.kind == 'o' || argument.kind == 'B') written.emplace_back(buffer, buffer + argument.given[i].size());
            std::free(buffer - argument.beyond[i]);
        }
    }
    return written;
}

static void read(void* to, size_t bytes) {
    if (std::fread(to, 1, bytes, stdin) != bytes) fail("the launch is cut short");
}

static uint64_t read_size() {
    uint64_t value;
    read(&value, sizeof value);
    return value;
}

int main() {
    std::vector<char> name(read_size());
    read(name.data(), name.size());
    name.push_back(0);
    gridDim = {unsigned(read_size()), 1, 1};
    blockDim = {unsigned(read_size()), 1, 1};
    size_t shared_size = read_size();
    arguments.resize(read_size());
    for (Argument& argument : arguments) {
        argument.kind = char(read_size());
        argument.value_size = read_size();
        argument.given.resize(read_size());
        if (argument.given.size() > MOST) fail("more buffers than a kernel can be told of");
        for (std::vector<char>& given : argument.given) {
            given.assign(read_size(), char(0xff));
            argument.beyond.push_back(read_size());
            if (argument.kind != 'o') read(given.data(), given.size());
        }
    }
    for (kernel = Kernel::all; kernel && std::strcmp(kernel->name, name.data()); kernel = kernel->before) {
    }
    if (!kernel) fail("there is no kernel of the name ", name.data());
    if (kernel->count != arguments.size()) fail("the kernel has another number of parameters than arguments were given");
    if (blockDim.x % 32 || !blockDim.x || !gridDim.x) fail("a launch is of whole warps");
    if (blockDim.x > kernel->threads) fail("a block has more threads than are allowed for ", kernel->name);
    fibers.resize(blockDim.x);
    stacks = static_cast<char*>(std::aligned_alloc(16, blockDim.x * STACK));

    auto written = run_grid(true, shared_size);
    if (written != run_grid(false, shared_size)) fail("the result depends on the order of threads or blocks: a barrier is missing");
    for (auto& buffer : written) std::fwrite(buffer.data(), 1, buffer.size(), stdout);
    return 0;
}
