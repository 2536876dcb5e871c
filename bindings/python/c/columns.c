/* Batches as arrays of Arrow: a struct with a column for each thing that a record has. */
#include "columns.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* No column is named `offset`, which is a word of SQL. */
enum { TOPIC, PARTITION, OFFSET, TIMESTAMP, KEY, VALUE, COLUMNS };

static const struct {
    const char *name, *format, *large_format;
    bool nullable;
} columns[COLUMNS] = {
    {"topic", "vu", "U", false},        {"partition", "I", "I", false},
    {"record_offset", "L", "L", false}, {"timestamp", "tsm:UTC", "tsm:UTC", false},
    {"key", "vz", "Z", true},           {"value", "vz", "Z", true},
};

/* What longer bytes than these have in a view is their place, and what shorter ones have is themselves. */
#define INLINE_MAX 12

typedef struct {
    int32_t size;
    union {
        uint8_t inlined[INLINE_MAX];
        struct {
            uint8_t prefix[4];
            int32_t buffer, position;
        } place;
    };
} byte_view;

_Static_assert(sizeof(byte_view) == 16, "a view of Arrow has 16 bytes");

void account_drop(account *account) {
    if (account && atomic_fetch_sub(&account->owners, 1) == 1) free(account);
}

/* A schema and its children, in one piece that goes with the last of them. */
typedef struct {
    atomic_int owners;
    struct ArrowSchema children[COLUMNS], *pointers[COLUMNS];
} schema_block;

static void release_schema(struct ArrowSchema *schema) {
    schema_block *block = schema->private_data;
    for (int64_t i = 0; i < schema->n_children; i++)
        if (schema->children[i]->release) schema->children[i]->release(schema->children[i]);
    schema->release = NULL;
    if (atomic_fetch_sub(&block->owners, 1) == 1) free(block);
}

int columns_schema(struct ArrowSchema *schema, bool large) {
    schema_block *block = calloc(1, sizeof *block);
    if (!block) return ENOMEM;
    block->owners = COLUMNS + 1;
    for (int i = 0; i < COLUMNS; i++) {
        block->children[i] = (struct ArrowSchema){
            .format = large ? columns[i].large_format : columns[i].format,
            .name = columns[i].name,
            .flags = columns[i].nullable ? ARROW_FLAG_NULLABLE : 0,
            .release = release_schema,
            .private_data = block,
        };
        block->pointers[i] = &block->children[i];
    }
    *schema = (struct ArrowSchema){
        .format = "+s",
        .name = "",
        .n_children = COLUMNS,
        .children = block->pointers,
        .release = release_schema,
        .private_data = block,
    };
    return 0;
}

/* An array and its children, with all that they point to. */
typedef struct {
    atomic_int owners;
    thalweg_batch *batch;
    uint8_t *copy;
    account *account;
    size_t lent;
    struct ArrowArray children[COLUMNS], *pointers[COLUMNS];
    /* Validity, views or offsets, memory, and sizes of the memory. */
    const void *buffers[COLUMNS][4];
    const void *no_validity[1];
    int64_t sizes[COLUMNS];
} array_block;

static void block_drop(array_block *block) {
    if (atomic_fetch_sub(&block->owners, 1) > 1) return;
    thalweg_batch_release(block->batch, NULL);
    if (block->account) atomic_fetch_sub(&block->account->lent, block->lent);
    account_drop(block->account);
    free(block->copy);
    free(block);
}

static void release_array(struct ArrowArray *array) {
    array_block *block = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++)
        if (array->children[i]->release) array->children[i]->release(array->children[i]);
    array->release = NULL;
    block_drop(block);
}

/* Memory out of one piece, by 64 bytes, as Arrow likes it. */
typedef struct {
    uint8_t *at;
    size_t used;
} arena;

static void *take(arena *arena, size_t size) {
    void *taken = arena->at ? arena->at + arena->used : NULL;
    arena->used += (size + 63) & ~(size_t)63;
    return taken;
}

/* A column of bytes, being filled. */
typedef struct {
    uint8_t *validity;
    byte_view *views;
    int64_t *offsets;
    uint8_t *bytes;
    size_t size;
    int64_t nulls;
} byte_column;

typedef struct {
    byte_column topic, key, value;
    uint32_t *partition;
    uint64_t *offset;
    int64_t *timestamp;
} filling;

/* Bytes of all keys and values, where they are copied. */
static void sizes_of(const thalweg_batch_view *view, filling *filling) {
    filling->topic.size = view->count * strlen(view->topic);
    for (size_t i = 0; i < view->count; i++) {
        filling->key.size += view->entries[i].key_size;
        filling->value.size += view->entries[i].value_size;
    }
}

static void lay_out_bytes(byte_column *column, arena *arena, size_t count, bool large, bool nullable) {
    if (nullable) column->validity = take(arena, (count + 7) / 8);
    if (large) column->offsets = take(arena, (count + 1) * sizeof *column->offsets);
    else column->views = take(arena, count * sizeof *column->views);
    if (large) column->bytes = take(arena, column->size);
}

static void lay_out(filling *filling, arena *arena, size_t count, bool large) {
    lay_out_bytes(&filling->topic, arena, count, large, false);
    filling->partition = take(arena, count * sizeof *filling->partition);
    filling->offset = take(arena, count * sizeof *filling->offset);
    filling->timestamp = take(arena, count * sizeof *filling->timestamp);
    lay_out_bytes(&filling->key, arena, count, large, true);
    lay_out_bytes(&filling->value, arena, count, large, true);
}

static inline byte_view view_of(const uint8_t *memory, uint32_t position, uint32_t size) {
    byte_view view = {.size = (int32_t)size};
    if (size > INLINE_MAX) {
        memcpy(view.place.prefix, memory + position, sizeof view.place.prefix);
        view.place.position = (int32_t)position;
    } else if (size > 0) {
        memcpy(view.inlined, memory + position, size);
    }
    return view;
}

static inline void put(
    byte_column *column, size_t at, const uint8_t *memory, uint32_t position, uint32_t size, bool there
) {
    if (!there) {
        /* What is not there is marked from the first such record on. */
        column->nulls++;
        column->validity[at / 8] &= (uint8_t)~(1 << at % 8);
    }
    if (column->views) {
        column->views[at] = view_of(memory, position, size);
        return;
    }
    if (size > 0) memcpy(column->bytes + column->offsets[at], memory + position, size);
    column->offsets[at + 1] = column->offsets[at] + size;
}

static void fill(filling *filling, const thalweg_batch_view *view) {
    const uint8_t *topic = (const uint8_t *)view->topic;
    uint32_t topic_size = (uint32_t)strlen(view->topic);
    memset(filling->key.validity, 0xff, (view->count + 7) / 8);
    memset(filling->value.validity, 0xff, (view->count + 7) / 8);
    for (size_t i = 0; i < view->count; i++) {
        const thalweg_entry *entry = &view->entries[i];
        put(&filling->topic, i, topic, 0, topic_size, true);
        filling->partition[i] = view->partition;
        filling->offset[i] = entry->offset;
        filling->timestamp[i] = entry->timestamp;
        put(&filling->key, i, view->data, entry->key_position, entry->key_size, entry->flags & THALWEG_ENTRY_KEY);
        put(&filling->value, i, view->data, entry->value_position, entry->value_size,
            entry->flags & THALWEG_ENTRY_VALUE);
    }
}

/* Points the buffers of a column of bytes at what was filled. */
static void publish_bytes(array_block *block, int column, const byte_column *filled, const void *memory, size_t size) {
    const void **buffers = block->buffers[column];
    struct ArrowArray *array = &block->children[column];
    buffers[0] = filled->nulls > 0 ? filled->validity : NULL;
    array->null_count = filled->nulls;
    if (filled->offsets) {
        buffers[1] = filled->offsets;
        buffers[2] = filled->bytes;
        array->n_buffers = 3;
        return;
    }
    block->sizes[column] = (int64_t)size;
    buffers[1] = filled->views;
    buffers[2] = memory;
    buffers[3] = &block->sizes[column];
    array->n_buffers = 4;
}

static void publish(
    array_block *block, struct ArrowArray *array, const filling *filled, const thalweg_batch_view *view
) {
    const void *numbers[COLUMNS] = {
        [PARTITION] = filled->partition,
        [OFFSET] = filled->offset,
        [TIMESTAMP] = filled->timestamp,
    };
    for (int i = 0; i < COLUMNS; i++) {
        block->children[i] = (struct ArrowArray){
            .length = (int64_t)view->count,
            .n_buffers = 2,
            .buffers = block->buffers[i],
            .release = release_array,
            .private_data = block,
        };
        block->buffers[i][1] = numbers[i];
        block->pointers[i] = &block->children[i];
    }
    publish_bytes(block, TOPIC, &filled->topic, view->topic, strlen(view->topic));
    publish_bytes(block, KEY, &filled->key, view->data, view->data_size);
    publish_bytes(block, VALUE, &filled->value, view->data, view->data_size);
    *array = (struct ArrowArray){
        .length = (int64_t)view->count,
        .n_buffers = 1,
        .buffers = block->no_validity,
        .n_children = COLUMNS,
        .children = block->pointers,
        .release = release_array,
        .private_data = block,
    };
}

/* Takes the batch into the block: its memory as it is, or a copy of it with the topic's name behind. */
static int adopt(array_block *block, thalweg_batch *batch, thalweg_batch_view *view, bool copies) {
    if (!copies) {
        block->batch = batch;
        return 0;
    }
    size_t name_size = strlen(view->topic) + 1;
    if (!(block->copy = malloc(view->data_size + name_size))) return ENOMEM;
    if (view->data_size > 0) memcpy(block->copy, view->data, view->data_size);
    memcpy(block->copy + view->data_size, view->topic, name_size);
    view->data = block->copy;
    view->topic = (const char *)block->copy + view->data_size;
    return 0;
}

int columns_of(
    struct ArrowArray *array, thalweg_batch *batch, const thalweg_batch_view *given, bool large, bool copies,
    account *account
) {
    filling filling = {0};
    if (large) sizes_of(given, &filling);
    arena measured = {NULL, 0};
    take(&measured, sizeof(array_block));
    lay_out(&filling, &measured, given->count, large);
    array_block *block = aligned_alloc(64, measured.used);
    thalweg_batch_view view = *given;
    /* Large columns have copies of everything, so that nothing of the batch is kept. */
    if (block) memset(block, 0, sizeof *block);
    if (!block || adopt(block, batch, &view, copies && !large) != 0) {
        free(block);
        thalweg_batch_release(batch, NULL);
        return ENOMEM;
    }
    arena arena = {(uint8_t *)block, 0};
    take(&arena, sizeof *block);
    lay_out(&filling, &arena, view.count, large);
    if (large) filling.topic.offsets[0] = filling.key.offsets[0] = filling.value.offsets[0] = 0;
    fill(&filling, &view);
    block->owners = COLUMNS + 1;
    publish(block, array, &filling, &view);
    if (copies || large) {
        block->batch = NULL;
        thalweg_batch_release(batch, NULL);
    } else if (account) {
        block->account = account;
        block->lent = view.data_size;
        atomic_fetch_add(&account->owners, 1);
        atomic_fetch_add(&account->lent, block->lent);
    }
    return 0;
}
