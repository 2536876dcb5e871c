/* Readers, reads without one, and batches. */
#include "check.h"

static thalweg_error error;

static void reader(thalweg_topic *topic) {
    thalweg_reader *reader = NULL;
    ANSWERS(THALWEG_NOT_FOUND, thalweg_reader_open(topic, 1, THALWEG_START_EARLIEST, 0, &reader, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_reader_open(topic, 0, 9, 0, &reader, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_reader_open(topic, 0, THALWEG_START_COMMITTED, 0, &reader, &error));
    ANSWERS(THALWEG_OUT_OF_RANGE, thalweg_reader_open(topic, 0, THALWEG_START_OFFSET, 11, &reader, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_reader_open(topic, 0, THALWEG_START_EARLIEST, 0, NULL, &error));
    CHECK(reader == NULL);
    OK(thalweg_reader_open(topic, 0, THALWEG_START_OFFSET, 3, &reader, &error));
    thalweg_batch *batch = NULL;
    thalweg_batch_view view;
    OK(thalweg_reader_next(reader, 1, LONG, &batch, &view, &error));
    CHECK(view.count == 1 && view.entries[0].offset == 3 && view.partition == 0 && value_is(&view, 0, "3"));
    OK(thalweg_batch_release(batch, &error));
    uint64_t offset;
    OK(thalweg_reader_offset(reader, &offset, &error));
    CHECK(offset == 4);
    ANSWERS(THALWEG_OUT_OF_RANGE, thalweg_reader_seek(reader, THALWEG_START_OFFSET, 99, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_reader_seek(reader, 77, 0, &error));
    OK(thalweg_reader_offset(reader, &offset, &error));
    CHECK(offset == 4);
    /* Timestamps are the values here, times ten; negative ones come first. */
    OK(thalweg_reader_seek(reader, THALWEG_START_TIME, 55, &error));
    OK(thalweg_reader_offset(reader, &offset, &error));
    CHECK(offset == 6);
    OK(thalweg_reader_seek(reader, THALWEG_START_TIME, (uint64_t)INT64_C(-5), &error));
    OK(thalweg_reader_offset(reader, &offset, &error));
    CHECK(offset == 0);
    OK(thalweg_reader_seek(reader, THALWEG_START_APPEND_TIME, 0, &error));
    OK(thalweg_reader_seek(reader, THALWEG_START_LATEST, 0, &error));
    batch = NULL;
    ANSWERS(THALWEG_WOULD_BLOCK, thalweg_reader_next(reader, 1 << 20, 0, &batch, &view, &error));
    ANSWERS(THALWEG_TIMED_OUT, thalweg_reader_next(reader, 1 << 20, 5, &batch, &view, &error));
    CHECK(batch == NULL);
    append_value(topic, 0, "10");
    OK(thalweg_reader_next(reader, 1 << 20, LONG, &batch, &view, &error));
    CHECK(view.count == 1 && view.entries[0].offset == 10);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_reader_next(reader, 1 << 20, 0, NULL, &view, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_reader_next(reader, 1 << 20, 0, &batch, NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_reader_offset(reader, NULL, &error));
    OK(thalweg_batch_release(batch, &error));
    OK(thalweg_reader_close(reader, &error));
}

static void copies(thalweg_topic *topic) {
    char buffer[8];
    thalweg_entry entries[4];
    size_t count = 0;
    uint64_t next = 0, total = 0;
    for (uint64_t offset = 0; offset < 11; offset = next) {
        OK(thalweg_topic_read_copy(topic, 0, offset, LONG, buffer, sizeof buffer, entries, 4, &count, &next, &error));
        CHECK(count >= 1 && count <= 4 && next > offset);
        for (size_t i = 0; i < count; i++) {
            char digits[4] = "";
            CHECK(entries[i].offset == offset + i && entries[i].value_size < 3);
            memcpy(digits, buffer + entries[i].value_position, entries[i].value_size);
            CHECK((uint64_t)atoi(digits) == entries[i].offset);
        }
        total += count;
    }
    CHECK(total == 11);
    ANSWERS(THALWEG_WOULD_BLOCK,
            thalweg_topic_read_copy(topic, 0, 11, 0, buffer, 8, entries, 4, &count, &next, &error));
    ANSWERS(THALWEG_TOO_LARGE, thalweg_topic_read_copy(topic, 0, 0, LONG, buffer, 0, entries, 4, &count, &next, &error));
    ANSWERS(THALWEG_TOO_LARGE, thalweg_topic_read_copy(topic, 0, 0, LONG, buffer, 8, entries, 0, &count, &next, &error));
    if (!strstr(error.message, "entry_capacity is 0")) FAIL("the buffer is blamed: %s", error.message);
    ANSWERS(THALWEG_INVALID_ARGUMENT,
            thalweg_topic_read_copy(topic, 0, 0, LONG, NULL, 8, entries, 4, &count, &next, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT,
            thalweg_topic_read_copy(topic, 0, 0, LONG, buffer, 8, NULL, 4, &count, &next, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT,
            thalweg_topic_read_copy(topic, 0, 0, LONG, buffer, 8, entries, 4, NULL, &next, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT,
            thalweg_topic_read_copy(topic, 0, 0, LONG, buffer, 8, entries, 4, &count, NULL, &error));
}

static void batches(thalweg_engine *engine) {
    thalweg_topic *topic = create_topic(engine, "batch", 1);
    thalweg_record records[11];
    char digits[11][4];
    for (int i = 0; i < 11; i++) {
        snprintf(digits[i], sizeof digits[i], "%d", i);
        records[i] = record_of(digits[i]);
    }
    OK(thalweg_topic_append_batch(topic, 0, records, 11, NULL, LONG, NULL, &error));
    thalweg_batch *batch = NULL;
    thalweg_batch_view view, again;
    ANSWERS(THALWEG_NOT_FOUND, thalweg_topic_read(topic, 1, 0, 1 << 20, LONG, &batch, &view, &error));
    ANSWERS(THALWEG_OUT_OF_RANGE, thalweg_topic_read(topic, 0, 99, 1 << 20, LONG, &batch, &view, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_read(topic, 0, 0, 1, LONG, NULL, &view, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_read(topic, 0, 0, 1, LONG, &batch, NULL, &error));
    CHECK(batch == NULL);
    OK(thalweg_topic_read(topic, 0, 0, 1 << 20, LONG, &batch, &view, &error));
    CHECK(view.count == 11 && view.next_offset == 11 && view.data_size >= 12);
    OK(thalweg_batch_get_view(batch, &again, &error));
    CHECK(memcmp(&view, &again, sizeof view) == 0);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_batch_get_view(batch, NULL, &error));
    /* Three owners, three releases. */
    OK(thalweg_batch_retain(batch, &error));
    OK(thalweg_batch_retain(batch, &error));
    OK(thalweg_batch_release(batch, &error));
    OK(thalweg_batch_release(batch, &error));
    CHECK(value_is(&view, 10, "10"));
    char buffer[64];
    thalweg_entry entries[16];
    size_t count = 99;
    OK(thalweg_batch_copy(batch, 9, buffer, sizeof buffer, entries, 16, &count, &error));
    CHECK(count == 2 && entries[1].offset == 10 && memcmp(buffer + entries[1].value_position, "10", 2) == 0);
    OK(thalweg_batch_copy(batch, 11, buffer, sizeof buffer, entries, 16, &count, &error));
    CHECK(count == 0);
    OK(thalweg_batch_copy(batch, SIZE_MAX, buffer, sizeof buffer, entries, 16, &count, &error));
    ANSWERS(THALWEG_TOO_LARGE, thalweg_batch_copy(batch, 0, buffer, 0, entries, 16, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_batch_copy(batch, 0, NULL, 8, entries, 16, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_batch_copy(batch, 0, buffer, 8, NULL, 16, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_batch_copy(batch, 0, buffer, 8, entries, 16, NULL, &error));
    int64_t time, before = 0;
    for (size_t i = 0; i < 11; i++) {
        OK(thalweg_batch_append_time(batch, i, &time, &error));
        CHECK(time >= before);
        before = time;
    }
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_batch_append_time(batch, 0, NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_batch_term(batch, 0, NULL, &error));
    OK(thalweg_batch_release(batch, &error));
    ANSWERS(THALWEG_CLOSED, thalweg_batch_retain(batch, &error));
    OK(thalweg_topic_close(topic, &error));
}

/* Whoever holds what is read costs memory, which the metrics show, and stops no appender. */
static void held_batches(thalweg_engine *engine) {
    enum { MOST = 4096 };
    static thalweg_batch *held[MOST];
    thalweg_topic *topic = create_topic(engine, "held", 1);
    static char value[32 << 10];
    thalweg_record record = record_of("");
    record.value = (thalweg_bytes){value, sizeof value};
    for (int i = 0; i < MOST; i++) {
        thalweg_status status;
        do status = thalweg_topic_submit(topic, 0, &record, NULL, NULL, 0, NULL, &error);
        while (status == THALWEG_WOULD_BLOCK);
        OK(status);
    }
    OK(thalweg_topic_append(topic, 0, &record, NULL, LONG, NULL, &error));
    thalweg_reader *reader;
    OK(thalweg_reader_open(topic, 0, THALWEG_START_EARLIEST, 0, &reader, &error));
    size_t count = 0;
    thalweg_batch_view view;
    thalweg_status status = THALWEG_OK;
    while (count < MOST && (status = thalweg_reader_next(reader, 1, LONG, &held[count], &view, &error)) == THALWEG_OK)
        count++;
    ANSWERS(THALWEG_NO_MEMORY, status);
    thalweg_metrics metrics;
    thalweg_metrics_init(&metrics, sizeof metrics);
    OK(thalweg_engine_metrics(engine, &metrics, &error));
    CHECK(metrics.memory_pins > 4 << 20 && metrics.memory_pins <= metrics.memory_pins_limit);
    CHECK(metrics.memory_entries >= count * sizeof(thalweg_entry) && metrics.memory_entries_limit == 16 << 20);
    OK(thalweg_topic_append(topic, 0, &record, NULL, LONG, NULL, &error));
    while (count > 0) OK(thalweg_batch_release(held[--count], &error));
    OK(thalweg_engine_metrics(engine, &metrics, &error));
    CHECK(metrics.memory_pins == 0 && metrics.memory_entries == 0);
    OK(thalweg_reader_next(reader, 1, LONG, &held[0], &view, &error));
    OK(thalweg_batch_release(held[0], &error));
    OK(thalweg_reader_close(reader, &error));
    OK(thalweg_topic_close(topic, &error));
}

void test_reads(void) {
    thalweg_error_init(&error, sizeof error);
    thalweg_engine *engine = open_engine(new_directory());
    thalweg_topic *topic = create_topic(engine, "orders", 1);
    for (int i = 0; i < 10; i++) {
        char value[4];
        snprintf(value, sizeof value, "%d", i);
        thalweg_record record = record_of(value);
        record.flags = THALWEG_RECORD_TIMESTAMP;
        record.timestamp = i * 10;
        OK(thalweg_topic_append(topic, 0, &record, NULL, LONG, NULL, &error));
    }
    reader(topic);
    copies(topic);
    batches(engine);
    held_batches(engine);
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_engine_close(engine, &error));
}
