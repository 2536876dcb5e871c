/* Batches as arrays of Arrow, without Python: what is here is called from any thread, and without the interpreter. */
#ifndef THALWEG_COLUMNS_H
#define THALWEG_COLUMNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <thalweg.h>

#include "arrow_abi.h"

/* How much of the engine's memory the arrays of a stream hold. */
typedef struct {
    atomic_size_t owners, lent;
} account;

void account_drop(account *account);

/* The names and types of the columns. `large`: as large_binary, else as views. An errno. */
int columns_schema(struct ArrowSchema *schema, bool large);
/* The records of a batch. It keeps the memory that they are in by `batch`, an owner of it, or copies it if `copies`,
 * and releases `batch` then, as it does on failure. An errno. */
int columns_of(
    struct ArrowArray *array, thalweg_batch *batch, const thalweg_batch_view *view, bool large, bool copies,
    account *account
);

#endif
