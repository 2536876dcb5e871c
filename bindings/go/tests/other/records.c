/* Records as lines, from C: `records write STORE` appends those of its input to the topic t, `records read STORE`
 * prints them. A line is the key, the value, the timestamp and the headers, each as name=value, apart by blanks: bytes
 * as hexadecimal digits behind an x, and - for none. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <thalweg.h>

static thalweg_error error;

static void check(thalweg_status status) {
    if (status == THALWEG_OK) return;
    fprintf(stderr, "%s\n", error.message);
    exit(1);
}

static thalweg_bytes parse(const char *word) {
    if (word[0] != 'x') return (thalweg_bytes){NULL, 0};
    size_t size = strlen(word + 1) / 2;
    unsigned char *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++) sscanf(word + 1 + 2 * i, "%2hhx", &bytes[i]);
    return (thalweg_bytes){bytes, size};
}

static void print(const char *before, const void *data, size_t size) {
    printf("%s%c", before, data ? 'x' : '-');
    for (size_t i = 0; data && i < size; i++) printf("%02x", ((const unsigned char *)data)[i]);
}

static void append(thalweg_topic *topic) {
    static char line[1 << 20];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        thalweg_header headers[16];
        thalweg_record record = {.headers = headers, .flags = THALWEG_RECORD_TIMESTAMP};
        record.key = parse(strtok(line, " "));
        record.value = parse(strtok(NULL, " "));
        record.timestamp = strtoll(strtok(NULL, " "), NULL, 10);
        for (char *word; (word = strtok(NULL, " ")); record.header_count++) {
            char *value = strchr(word, '=');
            *value++ = 0;
            headers[record.header_count] = (thalweg_header){parse(word), parse(value)};
        }
        check(thalweg_topic_append(topic, THALWEG_PARTITION_BY_KEY, &record, NULL, -1, NULL, &error));
    }
}

static void walk(thalweg_topic *topic) {
    thalweg_reader *reader;
    thalweg_batch *batch;
    thalweg_batch_view view;
    check(thalweg_reader_open(topic, 0, THALWEG_START_EARLIEST, 0, &reader, &error));
    while (thalweg_reader_next(reader, 1 << 20, 0, &batch, &view, NULL) == THALWEG_OK) {
        for (size_t i = 0; i < view.count; i++) {
            const thalweg_entry *entry = &view.entries[i];
            print("", entry->flags & THALWEG_ENTRY_KEY ? view.data + entry->key_position : NULL, entry->key_size);
            print(" ", entry->flags & THALWEG_ENTRY_VALUE ? view.data + entry->value_position : NULL,
                entry->value_size);
            printf(" %" PRId64, entry->timestamp);
            for (size_t j = 0; j < entry->header_count; j++) {
                thalweg_header header;
                check(thalweg_batch_header(batch, i, j, &header, &error));
                print(" ", header.name.data, header.name.size);
                print("=", header.value.data, header.value.size);
            }
            putchar('\n');
        }
        check(thalweg_batch_release(batch, &error));
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    thalweg_error_init(&error, sizeof error);
    thalweg_engine *engine;
    thalweg_topic *topic;
    check(thalweg_engine_open(argv[2], NULL, &engine, &error));
    if (thalweg_topic_open(engine, "t", &topic, NULL) != THALWEG_OK) check(thalweg_topic_create(engine, "t", NULL,
        &topic, &error));
    if (strcmp(argv[1], "write") == 0) append(topic);
    else walk(topic);
    check(thalweg_engine_close(engine, &error));
    return 0;
}
