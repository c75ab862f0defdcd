/* The tile unit of AMX-INT8 in software, for machine code that runs on this CPU otherwise.
 *
 * A CPU without AMX raises #UD on its instructions, which Linux delivers as SIGILL. The handler below
 * decodes the instruction, does what Intel's manual says (volume 2, chapter "AMX"; palette 1), and goes
 * on behind it. So a library is executed as it is, encodings included. What the manual calls #UD or #GP
 * ends the call with a fault code.
 *
 *     cc -O2 -shared -fPIC -o libtiles.so tiles.c                                                     */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

enum { LDTILECFG, TILEZERO, TILELOADD, TDPBUSD, TDPBSSD, TILESTORED, TILERELEASE, STTILECFG, KINDS };
enum { FINE, NOT_CONFIGURED, BAD_CONFIGURATION, BAD_REGISTER, BAD_SHAPE, NOT_DECODED, NOT_RELEASED };

#define TILES 8
#define ROWS 16
#define BYTES 64

typedef struct {
    uint8_t palette, rows[TILES];
    uint16_t bytes[TILES]; /* of a row ("colsb") */
    uint8_t data[TILES][ROWS][BYTES];
} unit_t;

typedef struct {
    int kind, length;
    unsigned to, a, b; /* registers */
    uint64_t address, stride;
} instruction_t;

static unit_t unit;
static uint64_t counts[KINDS], fault_at;
static sigjmp_buf back;
static struct sigaction before;
static volatile sig_atomic_t inside;

/* --- the instructions ---------------------------------------------------------------------------- */

static int configure(const uint8_t *memory) {
    uint8_t c[64];
    memcpy(c, memory, 64);
    memset(&unit, 0, sizeof unit);
    if (c[0] == 0) return FINE;
    for (int i = 1; i < 64; i++) /* start_row, and what is reserved */
        if (c[i] && !(i >= 16 && i < 32) && !(i >= 48 && i < 56)) return BAD_CONFIGURATION;
    if (c[0] != 1) return BAD_CONFIGURATION;
    for (int t = 0; t < TILES; t++) {
        unit.bytes[t] = c[16 + 2 * t] | c[17 + 2 * t] << 8;
        unit.rows[t] = c[48 + t];
        if (unit.bytes[t] > BYTES || unit.rows[t] > ROWS) return BAD_CONFIGURATION;
        if (!unit.bytes[t] != !unit.rows[t]) return BAD_CONFIGURATION;
    }
    unit.palette = 1;
    return FINE;
}

static void store_configuration(uint8_t *c) {
    memset(c, 0, 64);
    c[0] = unit.palette;
    for (int t = 0; t < TILES; t++) {
        c[16 + 2 * t] = unit.bytes[t];
        c[48 + t] = unit.rows[t];
    }
}

static int usable(unsigned t) {
    if (!unit.palette) return NOT_CONFIGURED;
    if (t >= TILES || !unit.rows[t]) return BAD_REGISTER;
    return unit.bytes[t] % 4 ? BAD_SHAPE : FINE;
}

static int load(const instruction_t *i) {
    int fault = usable(i->to);
    if (fault) return fault;
    memset(unit.data[i->to], 0, sizeof unit.data[0]);
    for (unsigned r = 0; r < unit.rows[i->to]; r++)
        memcpy(unit.data[i->to][r], (const void *)(i->address + r * i->stride), unit.bytes[i->to]);
    return FINE;
}

static int store(const instruction_t *i) {
    int fault = usable(i->to);
    if (fault) return fault;
    for (unsigned r = 0; r < unit.rows[i->to]; r++)
        memcpy((void *)(i->address + r * i->stride), unit.data[i->to][r], unit.bytes[i->to]);
    return FINE;
}

/* C[m][n] += sum over k and four bytes of A[m][4k + j] * B[k][4n + j] */
static int multiply(const instruction_t *i, int a_signed) {
    int fault;
    if (i->to == i->a || i->to == i->b || i->a == i->b) return BAD_REGISTER;
    if ((fault = usable(i->to)) || (fault = usable(i->a)) || (fault = usable(i->b))) return fault;
    if (unit.bytes[i->to] != unit.bytes[i->b] || unit.rows[i->to] != unit.rows[i->a]) return BAD_SHAPE;
    if (unit.bytes[i->a] / 4 != unit.rows[i->b]) return BAD_SHAPE;
    unsigned columns = unit.bytes[i->to] / 4;
    for (unsigned m = 0; m < unit.rows[i->to]; m++) {
        uint32_t sums[ROWS];
        memcpy(sums, unit.data[i->to][m], sizeof sums);
        for (unsigned k = 0; k < unit.rows[i->b]; k++)
            for (unsigned n = 0; n < columns; n++)
                for (unsigned j = 0; j < 4; j++) {
                    uint8_t x = unit.data[i->a][m][4 * k + j];
                    int32_t w = (int8_t)unit.data[i->b][k][4 * n + j];
                    sums[n] += (uint32_t)((a_signed ? (int8_t)x : (int32_t)x) * w);
                }
        memcpy(unit.data[i->to][m], sums, sizeof sums);
    }
    return FINE;
}

static int execute(const instruction_t *i) {
    switch (i->kind) {
    case LDTILECFG: return configure((const uint8_t *)i->address);
    case STTILECFG: store_configuration((uint8_t *)i->address); return FINE;
    case TILERELEASE: memset(&unit, 0, sizeof unit); return FINE;
    case TILEZERO:
        if (usable(i->to)) return usable(i->to);
        memset(unit.data[i->to], 0, sizeof unit.data[0]);
        return FINE;
    case TILELOADD: return load(i);
    case TILESTORED: return store(i);
    default: return multiply(i, i->kind == TDPBSSD);
    }
}

/* --- decoding: VEX.128.pp.0F38.W0 49, 4B, 5E ----------------------------------------------------- */

/* The memory operand behind `p`, the byte of mod, reg and r/m; returns the bytes that it takes.
 * `g`: the general registers in the order of their numbers. */
static int operand(const uint8_t *p, unsigned x, unsigned b, const uint64_t *g, uint64_t next, instruction_t *i) {
    unsigned mod = p[0] >> 6, rm = p[0] & 7;
    int size = 1;
    uint64_t base = 0;
    int has_base = 1;
    if (rm == 4) {
        unsigned index = (p[1] >> 3 & 7) | x << 3, low = p[1] & 7;
        i->stride = index == 4 ? 0 : g[index] << (p[1] >> 6);
        size = 2;
        has_base = !(low == 5 && mod == 0);
        if (has_base) base = g[low | b << 3];
    } else if (rm == 5 && mod == 0) {
        base = next + 4 + size; /* relative to the end of the instruction */
        has_base = 0;
    } else {
        base = g[rm | b << 3];
    }
    int32_t wide;
    if (mod == 1) {
        i->address = base + (int8_t)p[size];
        return size + 1;
    }
    if (mod == 2 || !has_base) {
        memcpy(&wide, p + size, 4);
        i->address = base + wide;
        return size + 4;
    }
    i->address = base;
    return size;
}

static int decode(const uint8_t *p, const uint64_t *g, instruction_t *i) {
    memset(i, 0, sizeof *i);
    if (p[0] != 0xc4 || (p[1] & 31) != 2 || p[2] & 0x84) return 0;
    unsigned x = !(p[1] & 0x40), b = !(p[1] & 0x20), prefix = p[2] & 3, opcode = p[3], mod = p[4] >> 6;
    int plain = (p[1] & 0x80) && (p[2] >> 3 & 15) == 15; /* no further register */
    i->to = (p[4] >> 3 & 7) | (p[1] & 0x80 ? 0 : 8);
    i->length = 5;
    if (opcode == 0x5e && mod == 3 && (prefix == 1 || prefix == 3)) {
        i->kind = prefix == 1 ? TDPBUSD : TDPBSSD;
        i->a = (p[4] & 7) | b << 3;
        i->b = ~p[2] >> 3 & 15;
        return 1;
    }
    if (!plain) return 0;
    if (opcode == 0x49 && mod == 3) {
        i->kind = prefix == 3 ? TILEZERO : TILERELEASE;
        return prefix == 3 ? (p[4] & 7) == 0 : prefix == 0 && p[4] == 0xc0;
    }
    if (mod == 3) return 0;
    if (opcode == 0x49 && prefix < 2) i->kind = prefix ? STTILECFG : LDTILECFG;
    else if (opcode == 0x4b && prefix == 3) i->kind = TILELOADD;
    else if (opcode == 0x4b && prefix == 2) i->kind = TILESTORED;
    else return 0;
    if (opcode == 0x49 ? i->to : (p[4] & 7) != 4) return 0; /* loads and stores need the byte of a stride */
    i->length = 4 + operand(p + 4, x, b, g, (uint64_t)(p + 4), i);
    return 1;
}

/* --- calls --------------------------------------------------------------------------------------- */

static const int NUMBER[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

/* Decodes and executes; the instruction's length, or 0 with the fault in *fault. */
static int step(const uint8_t *code, const uint64_t *registers, int *fault) {
    instruction_t i;
    *fault = NOT_DECODED;
    if (!decode(code, registers, &i)) return 0;
    counts[i.kind]++;
    *fault = execute(&i);
    return *fault ? 0 : i.length;
}

static void on_illegal(int number, siginfo_t *info, void *context) {
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t registers[16];
    int fault;
    if (!inside) { /* not ours: back to who was there before, at the same instruction */
        sigaction(number, &before, 0);
        return;
    }
    for (int n = 0; n < 16; n++) registers[n] = g[NUMBER[n]];
    int length = step((const uint8_t *)g[REG_RIP], registers, &fault);
    if (!length) {
        fault_at = g[REG_RIP];
        siglongjmp(back, fault);
    }
    g[REG_RIP] += length;
}

/* For an emulated CPU (avx512emu.c), which knows where an instruction ends, but not what it is. */
int tiles_step(const uint64_t *registers, uint64_t end) {
    instruction_t i;
    int fault;
    for (int length = 5; length <= 12; length++)
        if (decode((const uint8_t *)(end - length), registers, &i) && i.length == length)
            return step((const uint8_t *)(end - length), registers, &fault);
    return 0;
}

/* Puts the unit in its initial state; whether it was not. */
int tiles_release(void) {
    int used = unit.palette;
    memset(&unit, 0, sizeof unit);
    return used;
}

typedef int64_t (*function_t)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t);

/* Calls a function of up to six integers; returns a fault code, and the function's own in *result. */
int tiles_call(function_t function, const int64_t *a, int64_t *result) {
    struct sigaction own = {0};
    own.sa_sigaction = on_illegal;
    own.sa_flags = SA_SIGINFO;
    tiles_release();
    fault_at = 0;
    sigaction(SIGILL, &own, &before);
    int fault = sigsetjmp(back, 1);
    if (!fault) {
        inside = 1;
        *result = function(a[0], a[1], a[2], a[3], a[4], a[5]);
        if (tiles_release()) fault = NOT_RELEASED;
    }
    inside = 0;
    sigaction(SIGILL, &before, 0);
    return fault;
}

/* How often each instruction ran, and where the last fault was. */
void tiles_info(uint64_t *out) {
    memcpy(out, counts, sizeof counts);
    out[KINDS] = fault_at;
}
