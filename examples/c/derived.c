/* Derives one topic from another: each record of the source in capital letters, in the partition of the same number. Every
 * derived record carries the offset that it was made from, so that whoever is killed in the middle goes on where the last
 * durable one says: none is missing and none is there twice.
 *
 *     derived STORE SOURCE DERIVED
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <thalweg.h>

static thalweg_error error;

static void check(thalweg_status status, const char *what) {
    if (status == THALWEG_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, thalweg_status_name(status), error.message);
    exit(1);
}

static void *zeros(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory != NULL) return memory;
    fprintf(stderr, "no memory\n");
    exit(1);
}

/* The derived topic, with as many partitions as the source has at least. */
static thalweg_topic *open_derived(thalweg_engine *engine, const char *name, uint32_t partitions) {
    thalweg_topic *topic;
    thalweg_topic_info info;
    thalweg_topic_options options;
    thalweg_topic_options_init(&options, sizeof options);
    options.partitions = partitions;
    thalweg_status status = thalweg_topic_open(engine, name, &topic, &error);
    if (status == THALWEG_NOT_FOUND) status = thalweg_topic_create(engine, name, &options, &topic, &error);
    check(status, "derived");
    check(thalweg_topic_describe(topic, &info, &error), "describe");
    /* The source may have got more since. */
    if (info.partitions < partitions) check(thalweg_topic_add_partitions(topic, partitions, &error), "partitions");
    return topic;
}

/* Where to go on in the source: behind what the last derived record was made from. */
static uint64_t resume(thalweg_topic *derived, uint32_t partition, uint64_t next) {
    if (next == 0) return 0;
    thalweg_batch *batch;
    thalweg_batch_view view;
    thalweg_header header;
    char digits[21] = "";
    check(thalweg_topic_read(derived, partition, next - 1, 1, -1, &batch, &view, &error), "read");
    if (view.entries[view.count - 1].header_count > 0) {
        check(thalweg_batch_header(batch, view.count - 1, 0, &header, &error), "header");
        if (header.value.size > 0 && header.value.size < sizeof digits)
            memcpy(digits, header.value.data, header.value.size);
    }
    char *end;
    uint64_t source = strtoull(digits, &end, 10);
    if (end == digits || *end != 0) {
        fprintf(stderr, "the last record of the derived topic does not say what it was made from\n");
        exit(1);
    }
    check(thalweg_batch_release(batch, &error), "release");
    return source + 1;
}

/* Appends records at the offset next, and only if nobody else has derived meanwhile: as one batch, there whole or not at
 * all. Their headers may make that too large: then in two. How many; a record that is too large by itself is left out. */
static uint64_t append_records(thalweg_topic *derived, uint32_t partition, const thalweg_record *records, size_t count,
                               uint64_t next) {
    thalweg_append_options options;
    thalweg_append_options_init(&options, sizeof options);
    options.flags = THALWEG_APPEND_EXPECTED_OFFSET;
    options.expected_offset = next;
    thalweg_status status = thalweg_topic_append_batch(derived, partition, records, count, &options, -1, NULL, &error);
    if (status == THALWEG_OK) return count;
    if (status != THALWEG_TOO_LARGE) check(status, "append");
    if (count == 1) {
        const thalweg_bytes *source = &records->headers->value;
        fprintf(stderr, "partition %u, the record at %.*s is left out: %s\n", (unsigned)partition, (int)source->size,
                (const char *)source->data, error.message);
        return 0;
    }
    uint64_t first = append_records(derived, partition, records, count / 2, next);
    return first + append_records(derived, partition, records + count / 2, count - count / 2, next + first);
}

/* Appends what is made of a batch at the offset next; how many records. */
static uint64_t append(thalweg_topic *derived, uint32_t partition, const thalweg_batch_view *view, uint64_t next) {
    char *values = zeros(view->data_size, 1);
    thalweg_record *records = zeros(view->count, sizeof *records);
    thalweg_header *headers = zeros(view->count, sizeof *headers);
    char (*offsets)[21] = zeros(view->count, sizeof *offsets);
    for (size_t i = 0; i < view->data_size; i++) values[i] = (char)toupper(view->data[i]);
    for (size_t i = 0; i < view->count; i++) {
        const thalweg_entry *entry = &view->entries[i];
        int size = snprintf(offsets[i], sizeof *offsets, "%llu", (unsigned long long)entry->offset);
        headers[i].name = (thalweg_bytes){"source", 6};
        headers[i].value = (thalweg_bytes){offsets[i], (size_t)size};
        records[i].headers = &headers[i];
        records[i].header_count = 1;
        if (entry->flags & THALWEG_ENTRY_KEY)
            records[i].key = (thalweg_bytes){view->data + entry->key_position, entry->key_size};
        if (entry->flags & THALWEG_ENTRY_VALUE)
            records[i].value = (thalweg_bytes){values + entry->value_position, entry->value_size};
    }
    uint64_t made = append_records(derived, partition, records, view->count, next);
    free(values);
    free(records);
    free(headers);
    free(offsets);
    return made;
}

/* Derives what a partition of the source has; how many records. */
static uint64_t derive(thalweg_topic *source, thalweg_topic *derived, uint32_t partition) {
    uint64_t next, made = 0;
    check(thalweg_topic_next_offset(derived, partition, &next, &error), "next offset");
    const uint64_t from = resume(derived, partition, next);
    thalweg_reader *reader;
    check(thalweg_reader_open(source, partition, THALWEG_START_OFFSET, from, &reader, &error), "reader");
    thalweg_batch *batch;
    thalweg_batch_view view;
    thalweg_status status;
    while ((status = thalweg_reader_next(reader, 1 << 20, 0, &batch, &view, &error)) == THALWEG_OK) {
        made += append(derived, partition, &view, next + made);
        thalweg_batch_release(batch, NULL);
    }
    if (status != THALWEG_WOULD_BLOCK) check(status, "next");
    thalweg_reader_close(reader, NULL);
    return made;
}

int main(int count, char **arguments) {
    if (count != 4) {
        fprintf(stderr, "usage: %s STORE SOURCE DERIVED\n", arguments[0]);
        return 2;
    }
    thalweg_error_init(&error, sizeof error);
    thalweg_engine_options options;
    thalweg_engine_options_init(&options, sizeof options);
    options.flags = THALWEG_ENGINE_NO_CREATE;
    thalweg_engine *engine;
    check(thalweg_engine_open(arguments[1], &options, &engine, &error), "open");
    thalweg_topic *source;
    thalweg_topic_info info;
    check(thalweg_topic_open(engine, arguments[2], &source, &error), "source");
    check(thalweg_topic_describe(source, &info, &error), "describe");
    thalweg_topic *derived = open_derived(engine, arguments[3], info.partitions);
    uint64_t made = 0;
    for (uint32_t partition = 0; partition < info.partitions; partition++) made += derive(source, derived, partition);
    printf("%llu records derived\n", (unsigned long long)made);
    thalweg_topic_close(source, NULL);
    thalweg_topic_close(derived, NULL);
    check(thalweg_engine_close(engine, &error), "close");
    return 0;
}
