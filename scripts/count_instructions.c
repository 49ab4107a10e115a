/* A plugin of QEMU's user emulation that counts the guest's instructions and appends the number to a file at the end.
 *
 *     cc -shared -fPIC -O2 scripts/count_instructions.c -o count.so
 *     qemu-aarch64 -plugin ./count.so,out=FILE PROGRAM
 *
 * Debian ships QEMU's plugin interface without its header: these are the declarations used here (interface version 1).
 * Threads count into one number without a lock, so a program with threads may lose a few. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int operation, void *number, uint64_t add);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

int qemu_plugin_version = 1;
static uint64_t count;
static char out[4096] = "instructions";

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, 0, &count, qemu_plugin_tb_n_insns(block));
}

static void ended(qemu_plugin_id_t id, void *none) {
  (void)id, (void)none;
  FILE *file = fopen(out, "a");
  if (file == NULL) return;
  fprintf(file, "%" PRIu64 "\n", count);
  fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int words, char **word) {
  (void)info;
  for (int i = 0; i < words; ++i) {
    if (strncmp(word[i], "out=", 4) == 0) snprintf(out, sizeof out, "%s", word[i] + 4);
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, ended, NULL);
  return 0;
}
