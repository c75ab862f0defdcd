/* Hide CPU features from one process: preload this library to make an inference engine choose the
 * code it would run on an older CPU.
 *
 * Two things may stand where the engine asks for CPU features:
 * - cpuid: arch_prctl(ARCH_SET_CPUID, 0) makes it raise SIGSEGV in the calling thread, and in
 *   threads that it starts later. Needs "cpuid_fault" in /proc/cpuinfo;
 * - ud0: raises SIGILL on every CPU. patching.py writes it over each cpuid of a copy of the engine,
 *   where faulting is not available.
 * The handler executes cpuid (with faulting off), clears the feature bits that the level in
 * $LPC_MASK_CPUID lacks, and resumes behind the two bytes. xgetbv is not intercepted; software
 * looks at cpuid first.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012
#define BIT(n) (1u << (n))

/* Second bytes of the two instructions, behind 0f. */
enum { CPUID = 0xa2, UD0 = 0xff };
enum { EAX, EBX, ECX, EDX };
enum level { SSE42, AVX2, AVX512, AVX512_VNNI, LEVELS };

static const char *const level_names[LEVELS] = {"sse42", "avx2", "avx512", "avx512_vnni"};

/* Bits to clear in a register of a leaf, on levels up to and including `highest`. */
static const struct {
    enum level highest;
    uint32_t leaf, subleaf, reg, bits;
} hidden[] = {
    /* FMA, AVX, F16C; AVX2; VAES, VPCLMULQDQ */
    {SSE42, 1, 0, ECX, BIT(12) | BIT(28) | BIT(29)},
    {SSE42, 7, 0, EBX, BIT(5)},
    {SSE42, 7, 0, ECX, BIT(9) | BIT(10)},
    /* AVX512F, DQ, IFMA, PF, ER, CD, BW, VL */
    {AVX2, 7, 0, EBX,
     BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31)},
    /* AVX512 VBMI, VBMI2, BITALG, VPOPCNTDQ; 4VNNIW, 4FMAPS, VP2INTERSECT, FP16 */
    {AVX2, 7, 0, ECX, BIT(1) | BIT(6) | BIT(12) | BIT(14)},
    {AVX2, 7, 0, EDX, BIT(2) | BIT(3) | BIT(8) | BIT(23)},
    /* Components opmask, ZMM_Hi256, Hi16_ZMM of the extended state */
    {AVX2, 13, 0, EAX, BIT(5) | BIT(6) | BIT(7)},
    /* AVX512_VNNI; AVX_VNNI, AVX512_BF16, AVX_IFMA; AVX_VNNI_INT8, AVX_NE_CONVERT, _INT16 */
    {AVX512, 7, 0, ECX, BIT(11)},
    {AVX512, 7, 1, EAX, BIT(4) | BIT(5) | BIT(23)},
    {AVX512, 7, 1, EDX, BIT(4) | BIT(5) | BIT(10)},
    /* AMX_BF16, AMX_TILE, AMX_INT8; AMX_FP16; AMX_COMPLEX, AVX10; tile state */
    {AVX512_VNNI, 7, 0, EDX, BIT(22) | BIT(24) | BIT(25)},
    {AVX512_VNNI, 7, 1, EAX, BIT(21)},
    {AVX512_VNNI, 7, 1, EDX, BIT(8) | BIT(19)},
    {AVX512_VNNI, 13, 0, EAX, BIT(17) | BIT(18)},
};

static enum level level = LEVELS;
static int faulting;
static long calls;

/* How many cpuid instructions were answered; an engine that asks in its hot loop would show. */
long lpc_cpuid_mask_calls(void) { return __atomic_load_n(&calls, __ATOMIC_RELAXED); }

/* 1 if somebody in this process asked, and was shown a masked CPU. */
int lpc_cpuid_mask_active(void) { return lpc_cpuid_mask_calls() > 0; }

static long set_faulting(int on) { return syscall(SYS_arch_prctl, ARCH_SET_CPUID, on ? 0L : 1L); }

static void masked_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(registers[EAX]), "=b"(registers[EBX]), "=c"(registers[ECX]),
                       "=d"(registers[EDX])
                     : "a"(leaf), "c"(subleaf));
    /* Leaf 1 has no subleaves: any ecx selects it. */
    uint32_t effective = leaf == 1 ? 0 : subleaf;
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (hidden[i].leaf == leaf && hidden[i].subleaf == effective && level <= hidden[i].highest)
            registers[hidden[i].reg] &= ~hidden[i].bits;
}

static void on_fault(int signal_number, siginfo_t *information, void *context)
{
    (void)information;
    greg_t *state = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *code = (const uint8_t *)state[REG_RIP];
    uint8_t expected = signal_number == SIGILL ? UD0 : CPUID;
    if (code[0] != 0x0f || code[1] != expected) {
        signal(signal_number, SIG_DFL); /* a real fault: happens again, and ends the process */
        return;
    }
    uint32_t registers[4];
    if (faulting)
        set_faulting(0);
    masked_cpuid((uint32_t)state[REG_RAX], (uint32_t)state[REG_RCX], registers);
    if (faulting)
        set_faulting(1);
    state[REG_RAX] = registers[EAX];
    state[REG_RBX] = registers[EBX];
    state[REG_RCX] = registers[ECX];
    state[REG_RDX] = registers[EDX];
    state[REG_RIP] += 2;
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
}

__attribute__((constructor)) static void install(void)
{
    const char *wanted = getenv("LPC_MASK_CPUID");
    for (int i = 0; wanted && i < LEVELS; i++)
        if (!strcmp(wanted, level_names[i]))
            level = (enum level)i;
    if (level == LEVELS)
        return;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    faulting = set_faulting(1) == 0;
}
