/* lpc.h: the C interface of every library that lpc makes.  ABI version 1.
 *
 * A library is self-contained: it needs libc and nothing else.  Load it with dlopen() or link with it;
 * two models in one process must be loaded with dlopen(), since they define the same names.  A loaded
 * library stays in memory until the process ends (it may own sleeping threads).
 *
 *     int32_t target = lpc_select(NULL);
 *     if (target < 0) puts(lpc_error_message(target));
 *     void *workspace = aligned_alloc(64, lpc_workspace_size(target));
 *     const void *inputs[] = {image};
 *     void *outputs[] = {scores};
 *     int32_t status = lpc_run(target, inputs, outputs, workspace, 1);
 *
 * Tensors are dense, in the order of the metadata; inputs and outputs need no more alignment than their
 * elements.  aligned_alloc() wants a multiple of 64: workspace sizes are one.
 *
 * Threads: all functions may be called from any number of threads at once, as long as each call has its
 * own workspace and outputs.  A run with `threads` > 1 uses the library's pool of threads, which the
 * first such run creates; while one run holds the pool, others run on their calling thread alone.
 * Results do not depend on the number of threads, nor on the caller's floating-point environment.
 * After fork() the child may go on using the library.
 *
 * Within one ABI version functions and fields are only added, never changed.
 */
#ifndef LPC_H
#define LPC_H

#include <stdint.h>

#define LPC_ABI_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LPC_OK = 0,
    LPC_ERROR_NULL_POINTER = -1,         /* an input, output or workspace pointer is null */
    LPC_ERROR_MISALIGNED_WORKSPACE = -2, /* the workspace is not 64-byte aligned */
    LPC_ERROR_BAD_THREAD_COUNT = -3,     /* the thread count is less than one */
    LPC_ERROR_UNKNOWN_TARGET = -4,       /* the library has no such target */
    LPC_ERROR_UNSUPPORTED_CPU = -5,      /* this CPU or operating system lacks the target's ISA */
    LPC_ERROR_UNKNOWN_NAME = -6          /* lpc knows no such target */
};

/* Timing of one step (one kernel call) by CLOCK_MONOTONIC. */
typedef struct lpc_step_record {
    int64_t start_ns;
    int64_t end_ns;
    int64_t busy_ns; /* time spent in the kernel, summed over all threads */
    int64_t threads; /* threads that took part */
} lpc_step_record;

/* LPC_ABI_VERSION of the library; compare before any other call. */
int32_t lpc_abi_version(void);

/* A constant English sentence without full stop. */
const char *lpc_error_message(int32_t code);

/* Constant JSON text:
 *   {"lpc_version", "abi_version", "model_name",
 *    "inputs" and "outputs": [{"name", "dtype" (as numpy calls it), "shape"}],
 *    "layers": [{"name", "type"}]: the layers of the source model in execution order,
 *    "targets": [{"name", "workspace_size", "weights_size",
 *                 "steps": [{"layer", "layer_type", "exec_type", "kernel", "units"}]}]} */
const char *lpc_metadata(void);

int32_t lpc_input_count(void);
int32_t lpc_output_count(void);

/* Size of one tensor, -1 for a bad index. */
int64_t lpc_input_bytes(int32_t index);
int64_t lpc_output_bytes(int32_t index);

/* Targets are numbered from 0 in the order of preference (that of `lpc targets`), the best one last. */
int32_t lpc_target_count(void);

/* NULL for a bad target. */
const char *lpc_target_name(int32_t target);

/* The target of this name; with NULL the one named by the environment variable LPC_TARGET, or, where
 * that is unset or empty, the most demanding one that this CPU and operating system can run.
 * Negative: error code.
 * Linux gives the tile registers of AMX to a process that asks for them. This function, lpc_run and
 * lpc_profile ask (arch_prctl) before they answer that a target which uses them can run; no other
 * target makes them ask, and a refusal is as if the CPU had none. */
int32_t lpc_select(const char *name);

/* Bytes of workspace that a run needs, a multiple of 64; negative: error code. */
int64_t lpc_workspace_size(int32_t target);

/* Number of steps, that is of records of lpc_profile; negative: error code. */
int64_t lpc_step_count(int32_t target);

/* One inference.  `inputs` and `outputs` hold lpc_input_count() and lpc_output_count() pointers;
 * `workspace` is 64-byte aligned.  LPC_OK or an error code, in which case nothing has been written. */
int32_t lpc_run(int32_t target, const void *const *inputs, void *const *outputs, void *workspace,
                int32_t threads);

/* lpc_run that also fills one record per step. */
int32_t lpc_profile(int32_t target, const void *const *inputs, void *const *outputs,
                    void *workspace, int32_t threads, lpc_step_record *records);

/* Besides, for each target, without a check that this CPU can run it:
 *   int32_t lpc_run_<target>(const void *const *inputs, void *const *outputs, void *workspace,
 *                            int32_t threads);
 * With one thread it makes no system call and calls no other library: an emulator may run it. Nor
 * does it ask for tile registers: call lpc_select first. */

#ifdef __cplusplus
}
#endif

#endif
