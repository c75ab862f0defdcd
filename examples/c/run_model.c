/* Runs a compiled model from C: no Python, no lpc installation, only the library and lpc.h.
 *
 *     cc -O2 -I <folder of lpc.h> run_model.c -o run_model -ldl
 *     ./run_model ./model.so image.bin
 *
 * Each input is a file of raw elements; the outputs are written to output0.bin, output1.bin, ...
 * `python -c "import lpc.runtime as r; print(r.include_dir())"` prints the folder of lpc.h. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "lpc.h"

#define MOST_TENSORS 16

static void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void *look_up(void *library, const char *name) {
    void *symbol = dlsym(library, name);
    if (symbol == NULL) fail(name, "not in this library; was it made by lpc?");
    return symbol;
}

static void *allocate(int64_t bytes) {
    size_t rounded = ((size_t)bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, rounded ? rounded : 64);
    if (memory == NULL) fail("memory", "exhausted");
    return memory;
}

static void read_file(const char *path, void *memory, int64_t bytes) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail(path, "cannot be opened");
    if (fread(memory, 1, (size_t)bytes, file) != (size_t)bytes || fgetc(file) != EOF)
        fail(path, "does not have the size of the model's input");
    fclose(file);
}

static void write_file(const char *path, const void *memory, int64_t bytes) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) fail(path, "cannot be created");
    if (fwrite(memory, 1, (size_t)bytes, file) != (size_t)bytes || fclose(file) != 0)
        fail(path, "cannot be written");
}

int main(int argc, char **argv) {
    if (argc < 2) fail("usage", "run_model MODEL.so INPUT.bin...");
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) fail("dlopen", dlerror());

    int32_t (*abi_version)(void);
    int32_t (*select_target)(const char *);
    const char *(*target_name)(int32_t), *(*error_message)(int32_t);
    int64_t (*workspace_size)(int32_t), (*input_bytes)(int32_t), (*output_bytes)(int32_t);
    int32_t (*input_count)(void), (*output_count)(void);
    int32_t (*run)(int32_t, const void *const *, void *const *, void *, int32_t);
    *(void **)&abi_version = look_up(library, "lpc_abi_version");
    if (abi_version() != LPC_ABI_VERSION) fail(argv[1], "made for another version of lpc.h");
    *(void **)&select_target = look_up(library, "lpc_select");
    *(void **)&target_name = look_up(library, "lpc_target_name");
    *(void **)&error_message = look_up(library, "lpc_error_message");
    *(void **)&workspace_size = look_up(library, "lpc_workspace_size");
    *(void **)&input_bytes = look_up(library, "lpc_input_bytes");
    *(void **)&output_bytes = look_up(library, "lpc_output_bytes");
    *(void **)&input_count = look_up(library, "lpc_input_count");
    *(void **)&output_count = look_up(library, "lpc_output_count");
    *(void **)&run = look_up(library, "lpc_run");

    int32_t target = select_target(NULL);
    if (target < 0) fail(argv[1], error_message(target));

    const void *inputs[MOST_TENSORS];
    void *outputs[MOST_TENSORS];
    if (input_count() > MOST_TENSORS || output_count() > MOST_TENSORS)
        fail(argv[1], "too many inputs or outputs for this example");
    if (argc - 2 != input_count()) fail("usage", "one file for each input of the model");
    for (int32_t i = 0; i < input_count(); i++) {
        void *memory = allocate(input_bytes(i));
        read_file(argv[2 + i], memory, input_bytes(i));
        inputs[i] = memory;
    }
    for (int32_t i = 0; i < output_count(); i++) outputs[i] = allocate(output_bytes(i));

    int32_t status = run(target, inputs, outputs, allocate(workspace_size(target)), 1);
    if (status != LPC_OK) fail(argv[1], error_message(status));

    for (int32_t i = 0; i < output_count(); i++) {
        char name[32];
        snprintf(name, sizeof name, "output%d.bin", (int)i);
        write_file(name, outputs[i], output_bytes(i));
        printf("%s: %lld bytes, computed by %s\n", name, (long long)output_bytes(i),
               target_name(target));
    }
    return 0;
}
