/* Derives one topic from another: each record of partition 0 of the source in capital letters. Every derived record carries
 * the offset that it was made from, so that whoever is killed in the middle goes on where the last durable one says: none
 * is missing and none is there twice.
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

/* Where to go on in the source: behind what the last derived record was made from. */
static uint64_t resume(thalweg_topic *derived, uint64_t next) {
    if (next == 0) return 0;
    thalweg_batch *batch;
    thalweg_batch_view view;
    thalweg_header header;
    char digits[21] = "";
    check(thalweg_topic_read(derived, 0, next - 1, 1, -1, &batch, &view, &error), "read");
    check(thalweg_batch_header(batch, view.count - 1, 0, &header, &error), "header");
    if (header.value.size > 0 && header.value.size < sizeof digits) memcpy(digits, header.value.data, header.value.size);
    char *end;
    uint64_t source = strtoull(digits, &end, 10);
    if (end == digits || *end != 0) {
        fprintf(stderr, "the last record of the derived topic does not say what it was made from\n");
        exit(1);
    }
    check(thalweg_batch_release(batch, &error), "release");
    return source + 1;
}

int main(int count, char **arguments) {
    if (count != 4) {
        fprintf(stderr, "usage: %s STORE SOURCE DERIVED\n", arguments[0]);
        return 2;
    }
    thalweg_error_init(&error, sizeof error);
    thalweg_engine *engine;
    check(thalweg_engine_open(arguments[1], NULL, &engine, &error), "open");
    thalweg_topic *source, *derived;
    check(thalweg_topic_open(engine, arguments[2], &source, &error), "source");
    thalweg_status status = thalweg_topic_open(engine, arguments[3], &derived, &error);
    if (status == THALWEG_NOT_FOUND) status = thalweg_topic_create(engine, arguments[3], NULL, &derived, &error);
    check(status, "derived");

    uint64_t next, made = 0;
    check(thalweg_topic_next_offset(derived, 0, &next, &error), "next offset");
    thalweg_reader *reader;
    check(thalweg_reader_open(source, 0, THALWEG_START_OFFSET, resume(derived, next), &reader, &error), "reader");
    thalweg_append_options options;
    thalweg_append_options_init(&options, sizeof options);
    options.flags = THALWEG_APPEND_EXPECTED_OFFSET;
    thalweg_batch *batch;
    thalweg_batch_view view;
    while ((status = thalweg_reader_next(reader, 1 << 20, 0, &batch, &view, &error)) == THALWEG_OK) {
        char *values = malloc(view.data_size);
        thalweg_record *records = calloc(view.count, sizeof *records);
        thalweg_header *headers = calloc(view.count, sizeof *headers);
        char (*offsets)[21] = calloc(view.count, sizeof *offsets);
        if (values == NULL || records == NULL || headers == NULL || offsets == NULL) return 1;
        for (size_t i = 0; i < view.data_size; i++) values[i] = (char)toupper(view.data[i]);
        for (size_t i = 0; i < view.count; i++) {
            headers[i].name = (thalweg_bytes){"source", 6};
            int size = snprintf(offsets[i], sizeof *offsets, "%llu", (unsigned long long)view.entries[i].offset);
            headers[i].value = (thalweg_bytes){offsets[i], (size_t)size};
            records[i].value = (thalweg_bytes){values + view.entries[i].value_position, view.entries[i].value_size};
            records[i].headers = &headers[i];
            records[i].header_count = 1;
        }
        /* As one batch: there whole or not at all, and only if nobody else has derived meanwhile. */
        options.expected_offset = next;
        thalweg_appended appended;
        check(thalweg_topic_append_batch(derived, 0, records, view.count, &options, -1, &appended, &error), "append");
        next += appended.count;
        made += appended.count;
        free(values);
        free(records);
        free(headers);
        free(offsets);
        thalweg_batch_release(batch, NULL);
    }
    if (status != THALWEG_WOULD_BLOCK) check(status, "next");
    printf("%llu records derived\n", (unsigned long long)made);
    thalweg_reader_close(reader, NULL);
    thalweg_topic_close(source, NULL);
    thalweg_topic_close(derived, NULL);
    check(thalweg_engine_close(engine, &error), "close");
    return 0;
}
