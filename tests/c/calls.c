/* Every call on a handle of each kind, for the tests of what handles do; and calls without a handle. */
#include <signal.h>

#include "check.h"

static thalweg_topic_info topics[4];
static thalweg_partition_info partitions[4];
static thalweg_damaged_range ranges[4];
static thalweg_consumer_position positions[4];
static thalweg_named_position named[4];
static thalweg_completion completions[4];
static thalweg_entry entries[4];
static thalweg_record_result results[4];
static thalweg_frame frames[4];
static char text[256];
static size_t count;

thalweg_status engine_call(int nth, thalweg_engine *engine, thalweg_error *error) {
    static thalweg_info info = {.size = sizeof info};
    static thalweg_metrics metrics = {.size = sizeof metrics};
    static thalweg_verify_report report = {.size = sizeof report};
    thalweg_topic *topic = NULL;
    thalweg_consumer *consumer = NULL;
    thalweg_key_values *values = NULL;
    thalweg_events *events = NULL;
    thalweg_status status;
    switch (nth) {
        case 0: return thalweg_engine_info(engine, &info, error);
        case 1: return thalweg_engine_info_text(engine, text, sizeof text, &count, error);
        case 2: return thalweg_engine_list_damaged(engine, ranges, 4, &count, error);
        case 3: return thalweg_engine_metrics(engine, &metrics, error);
        case 4: return thalweg_engine_metrics_json(engine, text, sizeof text, &count, error);
        case 5: return thalweg_engine_metrics_prometheus(engine, text, sizeof text, &count, error);
        case 6: return thalweg_engine_verify(engine, &report, ranges, 4, &count, error);
        case 7: return thalweg_topic_list(engine, topics, 4, &count, error);
        case 8: return thalweg_position_list(engine, NULL, named, 4, &count, error);
        case 9:
            status = thalweg_topic_create(engine, "of-calls", NULL, &topic, error);
            thalweg_topic_close(topic, NULL);
            return status;
        case 10:
            status = thalweg_topic_open(engine, "of-calls", &topic, error);
            thalweg_topic_close(topic, NULL);
            return status;
        case 11:
            status = thalweg_consumer_open(engine, NULL, &consumer, error);
            thalweg_consumer_close(consumer, NULL);
            return status;
        case 12:
            status = thalweg_events_open(engine, &events, error);
            thalweg_events_close(events, NULL);
            return status;
        case 13:
            status = thalweg_topic_open(engine, "of-calls", &topic, NULL);
            if (status == THALWEG_OK) {
                status = thalweg_position_reset(engine, "calls", topic, 0, THALWEG_START_EARLIEST, 0, error);
                thalweg_topic_close(topic, NULL);
                return status;
            }
            return thalweg_position_reset(engine, "calls", topic, 0, THALWEG_START_EARLIEST, 0, error);
        case 14: return thalweg_position_metadata(engine, "calls", "of-calls", 0, text, sizeof text, &count, error);
        case 15: return thalweg_position_delete(engine, "calls", NULL, error);
        case 16:
            status = thalweg_topic_open(engine, "of-calls", &topic, NULL);
            status = thalweg_key_values_open(engine, topic, &values, error);
            thalweg_key_values_close(values, NULL);
            thalweg_topic_close(topic, NULL);
            return status;
        case 17: return thalweg_topic_delete(engine, "of-calls", error);
        default: return -1;
    }
}

thalweg_status topic_call(int nth, thalweg_topic *topic, thalweg_error *error) {
    thalweg_record record = record_of("value"), none = record;
    memset(&none.value, 0, sizeof none.value);
    thalweg_bytes parts[2] = {{"va", 2}, {"lue", 3}};
    thalweg_reader *reader = NULL;
    thalweg_batch *batch = NULL;
    thalweg_batch_view view;
    thalweg_status status;
    thalweg_error why;
    uint32_t partition;
    uint64_t offset;
    switch (nth) {
        case 0: return thalweg_topic_describe(topic, topics, error);
        case 1: return thalweg_topic_list_partitions(topic, 0, partitions, 4, &count, error);
        case 2: return thalweg_topic_list_damaged(topic, 0, ranges, 4, &count, error);
        case 3: return thalweg_topic_partition_of(topic, "key", 3, &partition, error);
        case 4: return thalweg_topic_next_offset(topic, 0, &offset, error);
        case 5: return thalweg_topic_append(topic, 0, &record, NULL, LONG, NULL, error);
        case 6: return thalweg_topic_append_batch(topic, 0, &record, 1, NULL, LONG, NULL, error);
        case 7: return thalweg_topic_append_parts(topic, 0, &none, parts, 2, NULL, LONG, NULL, error);
        case 8: return thalweg_topic_append_split(topic, &record, 1, results, error);
        case 9: return thalweg_topic_submit(topic, 0, &record, NULL, NULL, 0, NULL, error);
        case 10: return thalweg_topic_submit_batch(topic, 0, &record, 1, NULL, NULL, 0, NULL, error);
        case 11: return thalweg_topic_submit_parts(topic, 0, &none, parts, 2, NULL, NULL, 0, NULL, error);
        case 12:
            status = thalweg_reader_open(topic, 0, THALWEG_START_EARLIEST, 0, &reader, error);
            thalweg_reader_close(reader, NULL);
            return status;
        case 13:
            status = thalweg_topic_read(topic, 0, 0, 1 << 20, LONG, &batch, &view, error);
            thalweg_batch_release(batch, NULL);
            return status;
        case 14: return thalweg_topic_read_copy(topic, 0, 0, LONG, text, 256, entries, 4, &count, &offset, error);
        case 15: return thalweg_topic_add_partitions(topic, 4, error);
        case 16: return thalweg_topic_truncate_before(topic, 0, 0, error);
        case 17: return thalweg_topic_list_frames(topic, 0, 0, 9, frames, 4, &count, error);
        case 18: return thalweg_topic_truncate_after(topic, 0, 0, error);
        case 19:
            thalweg_error_init(&why, sizeof why);
            results[0].failure = 0;
            status = thalweg_topic_failure(topic, results, &why, error);
            return status == THALWEG_NOT_FOUND ? THALWEG_OK : status;
        default: return -1;
    }
}

thalweg_status queue_call(int nth, thalweg_completion_queue *queue, thalweg_error *error) {
    int32_t fd;
    thalweg_error why;
    switch (nth) {
        case 0: return thalweg_completion_queue_wait(queue, completions, 4, 0, &count, error);
        case 1: return thalweg_completion_queue_poll(queue, completions, 4, &count, error);
        case 2: return thalweg_completion_queue_eventfd(queue, &fd, error);
        case 3: return thalweg_completion_queue_under_way(queue, &count, error);
        case 4:
            thalweg_error_init(&why, sizeof why);
            completions[0].failure = 0;
            return thalweg_completion_queue_failure(queue, completions, &why, error);
        default: return -1;
    }
}

thalweg_status reader_call(int nth, thalweg_reader *reader, thalweg_error *error) {
    thalweg_batch *batch = NULL;
    thalweg_batch_view view;
    uint64_t offset;
    thalweg_status status;
    switch (nth) {
        case 0:
            status = thalweg_reader_next(reader, 1 << 20, 0, &batch, &view, error);
            thalweg_batch_release(batch, NULL);
            return status;
        case 1: return thalweg_reader_offset(reader, &offset, error);
        case 2: return thalweg_reader_seek(reader, THALWEG_START_EARLIEST, 0, error);
        default: return -1;
    }
}

thalweg_status consumer_call(int nth, thalweg_consumer *consumer, thalweg_error *error) {
    thalweg_batch *batch = NULL;
    thalweg_batch_view view;
    uint64_t lag;
    int32_t fd;
    thalweg_status status;
    switch (nth) {
        case 0:
            status = thalweg_consumer_poll(consumer, 1 << 20, &batch, &view, error);
            thalweg_batch_release(batch, NULL);
            return status;
        case 1:
            status = thalweg_consumer_wait(consumer, 1 << 20, 0, &batch, &view, error);
            thalweg_batch_release(batch, NULL);
            return status;
        case 2: return thalweg_consumer_seek_all(consumer, THALWEG_START_EARLIEST, 0, error);
        case 3: return thalweg_consumer_commit(consumer, error);
        case 4: return thalweg_consumer_commit_positions(consumer, NULL, 0, error);
        case 5: return thalweg_consumer_positions(consumer, positions, 4, &count, error);
        case 6: return thalweg_consumer_lag(consumer, &lag, error);
        case 7: return thalweg_consumer_eventfd(consumer, &fd, error);
        case 8: return thalweg_consumer_wakeup(consumer, error);
        default: return -1;
    }
}

thalweg_status batch_call(int nth, thalweg_batch *batch, thalweg_error *error) {
    thalweg_batch_view view;
    thalweg_header header;
    int64_t time;
    uint64_t term;
    thalweg_status status;
    switch (nth) {
        case 0: return thalweg_batch_get_view(batch, &view, error);
        case 1: return thalweg_batch_append_time(batch, 0, &time, error);
        case 2: return thalweg_batch_term(batch, 0, &term, error);
        case 3: return thalweg_batch_header(batch, 0, 0, &header, error);
        case 4: return thalweg_batch_copy(batch, 0, text, sizeof text, entries, 4, &count, error);
        case 5:
            status = thalweg_batch_retain(batch, error);
            if (status == THALWEG_OK) thalweg_batch_release(batch, NULL);
            return status;
        default: return -1;
    }
}

thalweg_status key_values_call(int nth, thalweg_key_values *values, thalweg_error *error) {
    thalweg_key_value_write write = {{"key", 3}, {"value", 5}};
    thalweg_batch *batch = NULL;
    thalweg_batch_view view;
    thalweg_status status;
    switch (nth) {
        case 0: return thalweg_key_values_put(values, "key", 3, "value", 5, error);
        case 1: return thalweg_key_values_get(values, "key", 3, text, sizeof text, &count, error);
        case 2: return thalweg_key_values_write(values, &write, 1, error);
        case 3:
            status = thalweg_key_values_list(values, NULL, 0, &batch, &view, error);
            thalweg_batch_release(batch, NULL);
            return status;
        case 4: return thalweg_key_values_delete(values, "key", 3, error);
        default: return -1;
    }
}

thalweg_status events_call(int nth, thalweg_events *events, thalweg_error *error) {
    static thalweg_event event = {.size = sizeof event};
    uint64_t dropped;
    int32_t fd;
    switch (nth) {
        case 0: return thalweg_events_poll(events, &event, error);
        case 1: return thalweg_events_dropped(events, &dropped, error);
        case 2: return thalweg_events_eventfd(events, &fd, error);
        default: return -1;
    }
}

/* The library leaves the process as it is: no signal handler, no look at the environment. */
static void the_process_stays_as_it_is(void) {
    struct sigaction before[32], after;
    for (int i = 1; i < 32; i++) CHECK(sigaction(i, NULL, &before[i]) == 0);
    int asked = environment_asked;
    thalweg_engine *engine = open_engine(new_directory());
    thalweg_topic *topic = create_topic(engine, "orders", 1);
    append_value(topic, 0, "value");
    CHECK(thalweg_topic_close(topic, NULL) == THALWEG_OK);
    CHECK(thalweg_engine_close(engine, NULL) == THALWEG_OK);
    /* Once for the tests, in open_engine. */
    CHECK(environment_asked == asked + 1);
    for (int i = 1; i < 32; i++) {
        CHECK(sigaction(i, NULL, &after) == 0);
        CHECK(after.sa_handler == before[i].sa_handler && after.sa_flags == before[i].sa_flags);
    }
}

/* Calls without a handle. */
void test_calls(void) {
    the_process_stays_as_it_is();
    CHECK(strcmp(thalweg_version(), "0.1.0") == 0);
    CHECK(thalweg_version_number() ==
          THALWEG_VERSION_MAJOR * 1000000 + THALWEG_VERSION_MINOR * 1000 + THALWEG_VERSION_PATCH);
    CHECK(strncmp(thalweg_build_info(), "thalweg 0.1.0 for ", 18) == 0);
    CHECK(strcmp(thalweg_status_name(THALWEG_OK), "OK") == 0);
    CHECK(strcmp(thalweg_status_name(THALWEG_WOULD_BLOCK), "WOULD_BLOCK") == 0);
    CHECK(strcmp(thalweg_status_name(-1), "UNKNOWN") == 0);
    CHECK(strcmp(thalweg_status_name(99999), "UNKNOWN") == 0);
    CHECK(strlen(thalweg_status_text(THALWEG_TRUNCATED)) > 5 && strlen(thalweg_status_text(-7)) > 5);
    CHECK(thalweg_murmur2("21", 2) == -973932308);
    CHECK(thalweg_murmur2(NULL, 0) == thalweg_murmur2("", 0));
    thalweg_error_init(NULL, sizeof(thalweg_error));
    thalweg_engine_options_init(NULL, sizeof(thalweg_engine_options));
    thalweg_topic_options_init(NULL, 0);
    thalweg_append_options_init(NULL, 0);
    thalweg_consumer_options_init(NULL, 0);
}
