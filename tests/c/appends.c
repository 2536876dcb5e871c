/* Appends that are waited for, records of every shape, and limits. */
#include <errno.h>
#include <sys/resource.h>

#include "check.h"

static thalweg_error error;

static void every_shape(thalweg_topic *topic) {
    thalweg_header headers[3];
    memset(headers, 0, sizeof headers);
    headers[0].name = (thalweg_bytes){"trace", 5};
    headers[0].value = (thalweg_bytes){"4bf9", 4};
    headers[1].name = (thalweg_bytes){"flag", 4};
    headers[2].name = (thalweg_bytes){"flag", 4};
    headers[2].value = (thalweg_bytes){"", 0};
    thalweg_record records[4];
    memset(records, 0, sizeof records);
    records[0] = record_of("full");
    records[0].key = (thalweg_bytes){"key", 3};
    records[0].headers = headers;
    records[0].header_count = 3;
    records[0].timestamp = -5;
    records[0].flags = THALWEG_RECORD_TIMESTAMP;
    records[1].key = (thalweg_bytes){"gone", 4};
    records[2].key = (thalweg_bytes){"", 0};
    records[2].value = (thalweg_bytes){"", 0};
    thalweg_append_options options;
    thalweg_append_options_init(&options, sizeof options);
    options.flags = THALWEG_APPEND_TERM | THALWEG_APPEND_EXPECTED_OFFSET;
    options.term = 7;
    thalweg_appended appended;
    OK(thalweg_topic_append_batch(topic, 0, records, 4, &options, LONG, &appended, &error));
    CHECK(appended.base_offset == 0 && appended.count == 4 && appended.partition == 0);
    ANSWERS(THALWEG_OFFSET_MISMATCH, thalweg_topic_append(topic, 0, records, &options, LONG, &appended, &error));
    CHECK(appended.count == 4);

    thalweg_batch *batch;
    thalweg_batch_view view;
    OK(thalweg_topic_read(topic, 0, 0, 1 << 20, LONG, &batch, &view, &error));
    CHECK(view.count == 4 && view.next_offset == 4 && strcmp(view.topic, "shapes") == 0);
    const thalweg_entry *entry = view.entries;
    CHECK(entry->offset == 0 && entry->timestamp == -5 && value_is(&view, 0, "full"));
    CHECK(entry->key_size == 3 && memcmp(view.data + entry->key_position, "key", 3) == 0);
    CHECK(entry->flags == (THALWEG_ENTRY_KEY | THALWEG_ENTRY_VALUE | THALWEG_ENTRY_TERM) && entry->header_count == 3);
    thalweg_header header;
    OK(thalweg_batch_header(batch, 0, 0, &header, &error));
    CHECK(header.name.size == 5 && memcmp(header.name.data, "trace", 5) == 0);
    CHECK(header.value.size == 4 && memcmp(header.value.data, "4bf9", 4) == 0);
    /* The same where it lies. */
    const unsigned char *stored = view.data + entry->headers_position;
    CHECK(stored[0] == 5 && stored[1] == 0 && stored[2] == 4 && stored[3] == 0 && memcmp(stored + 6, "trace4bf9", 9) == 0);
    OK(thalweg_batch_header(batch, 0, 1, &header, &error));
    CHECK(header.name.size == 4 && header.value.data == NULL);
    OK(thalweg_batch_header(batch, 0, 2, &header, &error));
    CHECK(header.value.data != NULL && header.value.size == 0);
    ANSWERS(THALWEG_NOT_FOUND, thalweg_batch_header(batch, 0, 3, &header, &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_batch_header(batch, 1, 0, &header, &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_batch_header(batch, 4, 0, &header, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_batch_header(batch, 0, 0, NULL, &error));
    CHECK(view.entries[1].flags == (THALWEG_ENTRY_KEY | THALWEG_ENTRY_TERM) && view.entries[1].value_size == 0);
    CHECK(view.entries[2].flags == (THALWEG_ENTRY_KEY | THALWEG_ENTRY_VALUE | THALWEG_ENTRY_TERM));
    CHECK(view.entries[2].key_size == 0 && view.entries[2].value_size == 0);
    CHECK(view.entries[3].flags == THALWEG_ENTRY_TERM && view.entries[3].timestamp > 1500000000000);
    uint64_t term = 0;
    int64_t time = 0;
    OK(thalweg_batch_term(batch, 3, &term, &error));
    OK(thalweg_batch_append_time(batch, 3, &time, &error));
    CHECK(term == 7 && time == view.entries[3].timestamp);
    ANSWERS(THALWEG_NOT_FOUND, thalweg_batch_term(batch, 4, &term, &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_batch_append_time(batch, SIZE_MAX, &time, &error));
    OK(thalweg_batch_release(batch, &error));
}

static void parts(thalweg_topic *topic) {
    thalweg_record record;
    memset(&record, 0, sizeof record);
    record.key = (thalweg_bytes){"k", 1};
    thalweg_bytes pieces[4] = {{"to", 2}, {NULL, 0}, {"get", 3}, {"her", 3}};
    thalweg_appended appended;
    OK(thalweg_topic_append_parts(topic, 0, &record, pieces, 4, NULL, LONG, &appended, &error));
    thalweg_batch *batch;
    thalweg_batch_view view;
    OK(thalweg_topic_read(topic, 0, appended.base_offset, 1 << 20, LONG, &batch, &view, &error));
    CHECK(value_is(&view, 0, "together") && view.entries[0].key_size == 1);
    uint64_t term;
    ANSWERS(THALWEG_NOT_FOUND, thalweg_batch_term(batch, 0, &term, &error));
    OK(thalweg_batch_release(batch, &error));
    /* No pieces are an empty value. */
    OK(thalweg_topic_append_parts(topic, 0, &record, NULL, 0, NULL, LONG, &appended, &error));
    record.value = (thalweg_bytes){"own", 3};
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_append_parts(topic, 0, &record, pieces, 4, NULL, LONG, NULL, &error));
    memset(&record.value, 0, sizeof record.value);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_append_parts(topic, 0, &record, NULL, 1, NULL, LONG, NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_append_parts(topic, 0, NULL, pieces, 4, NULL, LONG, NULL, &error));
    pieces[1].size = 1;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_append_parts(topic, 0, &record, pieces, 4, NULL, LONG, NULL, &error));
    pieces[1].size = SIZE_MAX;
    ANSWERS(THALWEG_TOO_LARGE, thalweg_topic_append_parts(topic, 0, &record, pieces, 4, NULL, LONG, NULL, &error));
    pieces[0].size = pieces[1].size = SIZE_MAX / 2 + 1;
    ANSWERS(THALWEG_TOO_LARGE, thalweg_topic_submit_parts(topic, 0, &record, pieces, 4, NULL, NULL, 0, NULL, &error));
}

/* Nothing of this is read: it is beyond every limit, or not there. */
static void limits(thalweg_topic *topic) {
    thalweg_record record = record_of("value");
    thalweg_appended appended = {77, 77, 77};
#define REFUSED(status) ANSWERS(status, thalweg_topic_append(topic, 0, &record, NULL, LONG, &appended, &error))
    record.value.size = (16 << 20) + 1;
    REFUSED(THALWEG_TOO_LARGE);
    record.value.size = SIZE_MAX;
    REFUSED(THALWEG_TOO_LARGE);
    record.value = (thalweg_bytes){NULL, 1};
    REFUSED(THALWEG_INVALID_ARGUMENT);
    record = record_of("value");
    record.key = (thalweg_bytes){"k", THALWEG_KEY_MAX + 1};
    REFUSED(THALWEG_TOO_LARGE);
    record = record_of("value");
    record.header_count = 1;
    REFUSED(THALWEG_INVALID_ARGUMENT);
    thalweg_header header;
    memset(&header, 0, sizeof header);
    record.headers = &header;
    record.header_count = THALWEG_HEADERS_MAX + 1;
    REFUSED(THALWEG_TOO_LARGE);
    record.header_count = 1;
    header.name = (thalweg_bytes){"n", THALWEG_HEADER_NAME_MAX + 1};
    REFUSED(THALWEG_TOO_LARGE);
    header.name = (thalweg_bytes){"\xff", 1};
    REFUSED(THALWEG_INVALID_ARGUMENT);
    header.name = (thalweg_bytes){"n", 1};
    header.value = (thalweg_bytes){"v", SIZE_MAX};
    REFUSED(THALWEG_TOO_LARGE);
    record = record_of("value");
    record.flags = 2;
    REFUSED(THALWEG_INVALID_ARGUMENT);
    record.flags = THALWEG_RECORD_TIMESTAMP;
    record.timestamp = INT64_MAX;
    REFUSED(THALWEG_INVALID_ARGUMENT);
    record.flags = 0;
    record.reserved = 1;
    REFUSED(THALWEG_INVALID_ARGUMENT);
#undef REFUSED
    record = record_of("value");
    ANSWERS(THALWEG_NOT_FOUND, thalweg_topic_append(topic, 9, &record, NULL, LONG, &appended, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_append(topic, 0, NULL, NULL, LONG, &appended, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT,
            thalweg_topic_append(topic, 0, (thalweg_record *)((char *)&record + 1), NULL, LONG, &appended, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_append_batch(topic, 0, NULL, 0, NULL, LONG, &appended, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_append_batch(topic, 0, NULL, 1, NULL, LONG, &appended, &error));
    ANSWERS(THALWEG_TOO_LARGE, thalweg_topic_append_batch(topic, 0, &record, THALWEG_BATCH_RECORDS_MAX + 1, NULL, LONG,
                                                          &appended, &error));
    ANSWERS(THALWEG_TOO_LARGE, thalweg_topic_append_batch(topic, 0, &record, SIZE_MAX, NULL, LONG, &appended, &error));
    thalweg_append_options options;
    thalweg_append_options_init(&options, sizeof options);
    options.flags = 8;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_append(topic, 0, &record, &options, LONG, &appended, &error));
    options.flags = 0;
    options.durability = 4;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_append(topic, 0, &record, &options, LONG, &appended, &error));
    options.durability = 0;
    options.reserved = 1;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_append(topic, 0, &record, &options, LONG, &appended, &error));
    CHECK(appended.base_offset == 77 && appended.partition == 77 && appended.count == 77);
}

static void targets(thalweg_engine *engine) {
    thalweg_topic *topic = create_topic(engine, "spread", 4);
    thalweg_appended appended;
    uint32_t of_key = 0, seen = 0;
    thalweg_record record = record_of("value");
    for (int i = 0; i < 4; i++) {
        OK(thalweg_topic_append(topic, THALWEG_PARTITION_BY_KEY, &record, NULL, LONG, &appended, &error));
        seen |= 1u << appended.partition;
    }
    CHECK(seen == 15);
    record.key = (thalweg_bytes){"ann", 3};
    OK(thalweg_topic_partition_of(topic, "ann", 3, &of_key, &error));
    for (int i = 0; i < 3; i++) {
        OK(thalweg_topic_append(topic, THALWEG_PARTITION_BY_KEY, &record, NULL, LONG, &appended, &error));
        CHECK(appended.partition == of_key);
    }
    seen = 0;
    for (int i = 0; i < 4; i++) {
        OK(thalweg_topic_append(topic, THALWEG_PARTITION_ROUND_ROBIN, &record, NULL, LONG, &appended, &error));
        seen |= 1u << appended.partition;
    }
    CHECK(seen == 15);

    thalweg_record records[20];
    thalweg_record_result results[20];
    static const char keys[] = "abcdefghijklmnopqrst";
    for (int i = 0; i < 20; i++) {
        records[i] = record_of("value");
        records[i].key = (thalweg_bytes){keys + i, 1};
    }
    OK(thalweg_topic_append_split(topic, records, 20, results, &error));
    for (int i = 0; i < 20; i++) {
        OK(thalweg_topic_partition_of(topic, keys + i, 1, &of_key, &error));
        CHECK(results[i].status == THALWEG_OK && results[i].partition == of_key);
        for (int j = 0; j < i; j++)
            CHECK(results[i].partition != results[j].partition || results[i].offset > results[j].offset);
    }
    OK(thalweg_topic_append_split(topic, NULL, 0, NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_append_split(topic, records, 20, NULL, &error));
    ANSWERS(THALWEG_TOO_LARGE, thalweg_topic_append_split(topic, records, THALWEG_BATCH_RECORDS_MAX + 1, results, &error));
    OK(thalweg_topic_close(topic, &error));
}

/* A part that failed has its reason, and the others have none. */
static void parts_that_fail(void) {
    thalweg_engine *engine = open_engine(new_directory());
    thalweg_topic *topic = create_topic(engine, "failing", 2), *other = NULL;
    OK(thalweg_topic_open(engine, "failing", &other, &error));
    static char value[128 << 10];
    thalweg_record records[2] = {record_of("small"), record_of("small")};
    const char *keys[2] = {"a", "a"};
    uint32_t first, second;
    OK(thalweg_topic_partition_of(topic, "a", 1, &first, &error));
    static const char others[] = "bcdefghijklmnop";
    for (int i = 0; others[i] != 0 && keys[1] == keys[0]; i++) {
        OK(thalweg_topic_partition_of(topic, others + i, 1, &second, &error));
        if (second != first) keys[1] = others + i;
    }
    CHECK(keys[1] != keys[0]);
    for (int i = 0; i < 2; i++) records[i].key = (thalweg_bytes){keys[i], 1};
    thalweg_record_result results[2];
    thalweg_error why;
    thalweg_error_init(&why, sizeof why);
    OK(thalweg_topic_append_split(topic, records, 2, results, &error));
    for (int i = 0; i < 2; i++) {
        CHECK(results[i].status == THALWEG_OK && results[i].failure == 0);
        ANSWERS(THALWEG_NOT_FOUND, thalweg_topic_failure(topic, &results[i], &why, &error));
    }
    /* From here on the system refuses to write behind this, which one of the parts has to. */
    struct rlimit before, small;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 64 << 10;
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    records[1].value = (thalweg_bytes){value, sizeof value};
    do {
        OK(thalweg_topic_append_split(topic, records + 1, 1, results + 1, &error));
    } while (results[1].status == THALWEG_OK);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(results[1].failure != 0 && results[1].partition == second && results[1].offset == 0);
    OK(thalweg_topic_failure(topic, &results[1], &why, &error));
    CHECK(why.status == results[1].status && why.os_error == EFBIG);
    CHECK(strstr(why.message, "failing") && strstr(why.message, "File too large"));
    /* Beside one that is well. */
    OK(thalweg_topic_append_split(topic, records, 2, results, &error));
    CHECK(results[0].status == THALWEG_OK && results[0].failure == 0 && results[0].offset == 1);
    CHECK(results[1].status == THALWEG_PARTITION_FAILED && results[1].failure != 0);
    OK(thalweg_topic_failure(topic, &results[1], &why, &error));
    CHECK(why.status == THALWEG_PARTITION_FAILED && strstr(why.message, "failing"));
    /* Only of its own handle. */
    ANSWERS(THALWEG_NOT_FOUND, thalweg_topic_failure(other, &results[1], &why, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_failure(topic, &results[1], NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_failure(topic, NULL, &why, &error));
    why.size = 0;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_failure(topic, &results[1], &why, &error));
    OK(thalweg_topic_close(other, &error));
    OK(thalweg_topic_close(topic, &error));
    thalweg_engine_close(engine, NULL);
}

/* What is wrong with one of many records names it as the caller counts. */
static void the_wrong_record_is_named(thalweg_engine *engine) {
    thalweg_topic *topic = create_topic(engine, "wrong", 3);
    static char value[THALWEG_RECORD_MAX];
    thalweg_record records[10];
    thalweg_record_result results[10];
    char keys[10];
    uint32_t seventh, partition;
    int precede = 0;
    for (int i = 0; i < 10; i++) {
        keys[i] = (char)('a' + i);
        records[i] = record_of("value");
        records[i].key = (thalweg_bytes){&keys[i], 1};
    }
    OK(thalweg_topic_partition_of(topic, &keys[7], 1, &seventh, &error));
    for (int i = 0; i < 7; i++) {
        OK(thalweg_topic_partition_of(topic, &keys[i], 1, &partition, &error));
        precede += partition == seventh;
    }
    /* Else its place in its part is its place in the list, and this shows nothing. */
    CHECK(precede < 7);
    records[7].value = (thalweg_bytes){value, sizeof value};
    OK(thalweg_topic_append_split(topic, records, 10, results, &error));
    thalweg_error why;
    thalweg_error_init(&why, sizeof why);
    CHECK(results[7].status == THALWEG_TOO_LARGE);
    OK(thalweg_topic_failure(topic, &results[7], &why, &error));
    CHECK(strncmp(why.message, "record 7 of the list: a record has ", 35) == 0);
    const thalweg_record right = record_of("value");
    thalweg_header header = {{"name", 4}, {"value", 5}};
    for (int wrong = 0; wrong < 6; wrong++) {
        thalweg_status status = wrong < 4 ? THALWEG_INVALID_ARGUMENT : THALWEG_TOO_LARGE;
        records[7] = right;
        if (wrong == 0) records[7].reserved = 1;
        if (wrong == 1) records[7].flags = 1u << 31;
        if (wrong == 2) records[7].key = (thalweg_bytes){NULL, 1};
        if (wrong == 3) records[7].headers = NULL, records[7].header_count = 1;
        if (wrong == 4) records[7].value.size = THALWEG_RECORD_MAX + 1;
        if (wrong == 5) records[7].headers = &header, records[7].header_count = THALWEG_HEADERS_MAX + 1;
        ANSWERS(status, thalweg_topic_append_batch(topic, 0, records, 10, NULL, LONG, NULL, &error));
        CHECK(strncmp(error.message, "record 7 of the list: ", 22) == 0);
        ANSWERS(status, thalweg_topic_append_split(topic, records, 10, results, &error));
        CHECK(strncmp(error.message, "record 7 of the list: ", 22) == 0);
    }
    OK(thalweg_topic_close(topic, &error));
}

/* The largest record, there and back. */
static void large(thalweg_engine *engine) {
    thalweg_topic *topic = create_topic(engine, "large", 1);
    size_t size = THALWEG_RECORD_MAX;
    unsigned char *value = malloc(size);
    CHECK(value != NULL);
    for (size_t i = 0; i < size; i++) value[i] = (unsigned char)(i * 31 >> 3);
    thalweg_record record = record_of("");
    record.value = (thalweg_bytes){value, size};
    thalweg_appended appended;
    OK(thalweg_topic_append(topic, 0, &record, NULL, LONG, &appended, &error));
    thalweg_batch *batch;
    thalweg_batch_view view;
    OK(thalweg_topic_read(topic, 0, 0, 1, LONG, &batch, &view, &error));
    CHECK(view.count == 1 && view.entries[0].value_size == size);
    CHECK(memcmp(view.data + view.entries[0].value_position, value, size) == 0);
    OK(thalweg_batch_release(batch, &error));
    free(value);
    OK(thalweg_topic_close(topic, &error));
}

/* Batches of every size up to some hundreds, with and without headers: each record is what it was, in its place. */
static void sizes_of_batches(thalweg_engine *engine) {
    enum { MOST = 300 };
    static char values[MOST][8];
    static thalweg_record records[MOST];
    thalweg_topic *topic = create_topic(engine, "sizes", 1);
    thalweg_header header = {{"nth", 3}, {NULL, 0}};
    for (size_t i = 0; i < MOST; i++) {
        snprintf(values[i], sizeof values[i], "%zu", i);
        records[i] = record_of(values[i]);
        if (i % 3 == 1) records[i].key = records[i].value;
        if (i % 5 == 2) records[i].value = (thalweg_bytes){NULL, 0};
    }
    const size_t sizes[] = {1, 2, 127, 128, 129, MOST};
    for (size_t turn = 0; turn < 2 * sizeof sizes / sizeof *sizes; turn++) {
        size_t size = sizes[turn / 2], with_header = turn % 2;
        if (with_header) {
            header.value = records[size - 1].key;
            records[size - 1].headers = &header;
            records[size - 1].header_count = 1;
        }
        thalweg_appended appended;
        OK(thalweg_topic_append_batch(topic, 0, records, size, NULL, LONG, &appended, &error));
        CHECK(appended.count == size);
        thalweg_batch *batch;
        thalweg_batch_view view;
        OK(thalweg_topic_read(topic, 0, appended.base_offset, 1, LONG, &batch, &view, &error));
        CHECK(view.count >= size);
        for (size_t i = 0; i < size; i++) {
            const thalweg_entry *entry = &view.entries[i];
            CHECK(entry->offset == appended.base_offset + i);
            CHECK(entry->flags == (i % 3 == 1 ? THALWEG_ENTRY_KEY : 0) + (i % 5 == 2 ? 0 : THALWEG_ENTRY_VALUE));
            CHECK(i % 5 == 2 || value_is(&view, i, values[i]));
            CHECK(i % 3 != 1 || (entry->key_size == strlen(values[i]) &&
                                 memcmp(view.data + entry->key_position, values[i], entry->key_size) == 0));
            CHECK(entry->header_count == (with_header && i == size - 1));
        }
        OK(thalweg_batch_release(batch, &error));
        records[size - 1].headers = NULL;
        records[size - 1].header_count = 0;
    }
    /* A record that is refused takes the whole batch with it, wherever it is. */
    uint64_t next, then;
    OK(thalweg_topic_next_offset(topic, 0, &next, &error));
    records[200].reserved = 1;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_append_batch(topic, 0, records, MOST, NULL, LONG, NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT,
            thalweg_topic_append_batch(topic, 0, records + 150, 100, NULL, LONG, NULL, &error));
    OK(thalweg_topic_next_offset(topic, 0, &then, &error));
    CHECK(then == next);
    OK(thalweg_topic_close(topic, &error));
}

void test_appends(void) {
    thalweg_error_init(&error, sizeof error);
    thalweg_engine *engine = open_engine(new_directory());
    thalweg_topic *topic = create_topic(engine, "shapes", 1);
    every_shape(topic);
    parts(topic);
    limits(topic);
    targets(engine);
    parts_that_fail();
    the_wrong_record_is_named(engine);
    large(engine);
    sizes_of_batches(engine);
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_engine_close(engine, &error));
}
