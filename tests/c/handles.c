/* Mistakes with handles: each is an answer. */
#include "check.h"

static thalweg_error error;

/* A handle of each kind, and whether the call with it is that. */
struct handles {
    thalweg_engine *engine;
    thalweg_topic *topic;
    thalweg_completion_queue *queue;
    thalweg_reader *reader;
    thalweg_consumer *consumer;
    thalweg_batch *batch;
    thalweg_key_values *values;
    thalweg_events *events;
};

static struct handles open_all(void) {
    struct handles all;
    memset(&all, 0, sizeof all);
    thalweg_batch_view view;
    all.engine = open_engine(new_directory());
    all.topic = create_topic(all.engine, "orders", 1);
    append_value(all.topic, 0, "value");
    OK(thalweg_completion_queue_open(0, &all.queue, &error));
    OK(thalweg_reader_open(all.topic, 0, THALWEG_START_EARLIEST, 0, &all.reader, &error));
    thalweg_consumer_options options;
    thalweg_consumer_options_init(&options, sizeof options);
    options.name = "handles";
    OK(thalweg_consumer_open(all.engine, &options, &all.consumer, &error));
    OK(thalweg_consumer_subscribe(all.consumer, all.topic, &error));
    OK(thalweg_topic_read(all.topic, 0, 0, 1 << 20, LONG, &all.batch, &view, &error));
    OK(thalweg_key_values_open(all.engine, all.topic, &all.values, &error));
    OK(thalweg_events_open(all.engine, &all.events, &error));
    return all;
}

static void close_all(struct handles all, thalweg_status status) {
    ANSWERS(status, thalweg_events_close(all.events, &error));
    ANSWERS(status, thalweg_key_values_close(all.values, &error));
    ANSWERS(status, thalweg_batch_release(all.batch, &error));
    ANSWERS(status, thalweg_consumer_close(all.consumer, &error));
    ANSWERS(status, thalweg_reader_close(all.reader, &error));
    ANSWERS(status, thalweg_completion_queue_close(all.queue, &error));
    ANSWERS(status, thalweg_topic_close(all.topic, &error));
    ANSWERS(status, thalweg_engine_close(all.engine, &error));
}

#define EACH(expected, call, handle)                                                                \
    for (int nth = 0;; nth++) {                                                                     \
        memset(error.message, 0, sizeof error.message);                                             \
        thalweg_status status = call(nth, handle, &error);                                          \
        if (status == -1) break;                                                                    \
        if (status != (expected))                                                                   \
            FAIL("%s %d with %s answers %s, not %s: %s", #call, nth, #handle, thalweg_status_name(status), #expected, \
                 error.message);                                                                    \
        CHECK(error.status == (expected) && error.message[0] != 0);                                 \
    }

static void every_call(thalweg_status status, struct handles all) {
    EACH(status, engine_call, all.engine);
    EACH(status, topic_call, all.topic);
    EACH(status, queue_call, all.queue);
    EACH(status, reader_call, all.reader);
    EACH(status, consumer_call, all.consumer);
    EACH(status, batch_call, all.batch);
    EACH(status, key_values_call, all.values);
    EACH(status, events_call, all.events);
    ANSWERS(status, thalweg_consumer_subscribe(all.consumer, all.topic, &error));
    ANSWERS(status, thalweg_consumer_unsubscribe(all.consumer, all.topic, &error));
    ANSWERS(status, thalweg_consumer_assign(all.consumer, all.topic, 0, THALWEG_START_EARLIEST, 0, &error));
    ANSWERS(status, thalweg_consumer_seek(all.consumer, all.topic, 0, THALWEG_START_EARLIEST, 0, &error));
}

static void each_call_works_on_its_own_kind(struct handles all) {
#define EACH_WORKS(call, handle)                                                                               \
    for (int nth = 0;; nth++) {                                                                                \
        thalweg_status status = call(nth, handle, &error);                                                     \
        if (status == -1) break;                                                                               \
        if (status != THALWEG_OK && status != THALWEG_WOULD_BLOCK && status != THALWEG_NOT_FOUND)              \
            FAIL("%s %d answers %s: %s", #call, nth, thalweg_status_name(status), error.message);              \
    }
    EACH_WORKS(engine_call, all.engine);
    EACH_WORKS(topic_call, all.topic);
    EACH_WORKS(queue_call, all.queue);
    EACH_WORKS(reader_call, all.reader);
    EACH_WORKS(consumer_call, all.consumer);
    EACH_WORKS(batch_call, all.batch);
    EACH_WORKS(key_values_call, all.values);
    EACH_WORKS(events_call, all.events);
}

static void null_is_told(void) {
    struct handles none;
    memset(&none, 0, sizeof none);
    every_call(THALWEG_INVALID_ARGUMENT, none);
    /* Closing nothing is allowed. */
    close_all(none, THALWEG_OK);
}

static struct handles of(void *handle) {
    struct handles all = {handle, handle, handle, handle, handle, handle, handle, handle};
    return all;
}

static void other_kinds_are_told(struct handles all) {
    void *every[] = {all.engine, all.topic, all.queue, all.reader, all.consumer, all.batch, all.values, all.events};
    for (size_t i = 0; i < 8; i++) {
        struct handles wrong = of(every[i]);
        /* What is right about it is made wrong another way. */
        void *made_up = (void *)((uintptr_t)every[i] ^ 0x55);
        if (i == 0) wrong.engine = made_up;
        if (i == 1) wrong.topic = made_up;
        if (i == 2) wrong.queue = made_up;
        if (i == 3) wrong.reader = made_up;
        if (i == 4) wrong.consumer = made_up;
        if (i == 5) wrong.batch = made_up;
        if (i == 6) wrong.values = made_up;
        if (i == 7) wrong.events = made_up;
        every_call(THALWEG_INVALID_ARGUMENT, wrong);
        close_all(wrong, THALWEG_INVALID_ARGUMENT);
    }
    int local = 0;
    void *made_up[] = {&local, (void *)1, (void *)UINTPTR_MAX, (void *)((uintptr_t)all.topic + 1)};
    for (size_t i = 0; i < 4; i++) {
        every_call(THALWEG_INVALID_ARGUMENT, of(made_up[i]));
        close_all(of(made_up[i]), THALWEG_INVALID_ARGUMENT);
    }
}

static void closed_ones_are_told(struct handles all) {
    close_all(all, THALWEG_OK);
    every_call(THALWEG_CLOSED, all);
    close_all(all, THALWEG_CLOSED);
    /* Others that came into their places are others. */
    struct handles next = open_all();
    every_call(THALWEG_CLOSED, all);
    close_all(all, THALWEG_CLOSED);
    close_all(next, THALWEG_OK);
}

/* docs/ABI.md names what handles go on to answer when their engine is closed. */
static void what_a_handle_knows_by_itself(struct handles all) {
    thalweg_consumer_position position;
    uint64_t offset, lag;
    size_t count;
    int32_t fd;
    OK(thalweg_reader_offset(all.reader, &offset, &error));
    OK(thalweg_consumer_positions(all.consumer, &position, 1, &count, &error));
    CHECK(count == 1 && offset == 1);
    OK(thalweg_consumer_lag(all.consumer, &lag, &error));
    OK(thalweg_consumer_eventfd(all.consumer, &fd, &error));
    OK(thalweg_consumer_wakeup(all.consumer, &error));
}

/* An append as a whole, of which nothing can be appended whatever its records. */
static void a_split_after_the_close_is_told_as_one(void) {
    thalweg_engine *engine = open_engine(new_directory());
    thalweg_topic *topic = create_topic(engine, "orders", 2), *deleted = create_topic(engine, "deleted", 2);
    thalweg_consumer *consumer = NULL;
    OK(thalweg_consumer_open(engine, NULL, &consumer, &error));
    OK(thalweg_consumer_subscribe(consumer, topic, &error));
    thalweg_record records[2] = {record_of("a"), record_of("b")};
    thalweg_record_result results[2] = {{.failure = 0}};
    OK(thalweg_topic_delete(engine, "deleted", &error));
    ANSWERS(THALWEG_DELETED, thalweg_topic_append_split(deleted, records, 2, results, &error));
    OK(thalweg_engine_close(engine, &error));
    ANSWERS(THALWEG_CLOSED, thalweg_topic_append_split(topic, records, 2, results, &error));
    ANSWERS(THALWEG_CLOSED, thalweg_topic_append_split(topic, NULL, 0, NULL, &error));
    /* As what_a_handle_knows_by_itself. */
    uint32_t partition;
    thalweg_error why;
    thalweg_error_init(&why, sizeof why);
    OK(thalweg_topic_partition_of(topic, "key", 3, &partition, &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_topic_failure(topic, results, &why, &error));
    OK(thalweg_consumer_unsubscribe(consumer, topic, &error));
    OK(thalweg_consumer_close(consumer, &error));
    OK(thalweg_topic_close(deleted, &error));
    OK(thalweg_topic_close(topic, &error));
}

/* A host that collects garbage closes in any order: here the parents first. */
static void parents_may_go_first(void) {
    struct handles all = open_all();
    thalweg_batch_view view;
    OK(thalweg_batch_get_view(all.batch, &view, &error));
    OK(thalweg_topic_close(all.topic, &error));
    thalweg_batch *batch = NULL;
    thalweg_batch_view read;
    OK(thalweg_reader_next(all.reader, 1 << 20, LONG, &batch, &read, &error));
    OK(thalweg_batch_release(batch, &error));
    OK(thalweg_consumer_wait(all.consumer, 1 << 20, LONG, &batch, &read, &error));
    OK(thalweg_batch_release(batch, &error));
    OK(thalweg_key_values_put(all.values, "k", 1, "v", 1, &error));
    OK(thalweg_engine_close(all.engine, &error));
    ANSWERS(THALWEG_CLOSED, thalweg_reader_next(all.reader, 1 << 20, LONG, &batch, &read, &error));
    ANSWERS(THALWEG_CLOSED, thalweg_consumer_wait(all.consumer, 1 << 20, -1, &batch, &read, &error));
    ANSWERS(THALWEG_CLOSED, thalweg_consumer_commit(all.consumer, &error));
    ANSWERS(THALWEG_CLOSED, thalweg_key_values_put(all.values, "k", 1, "v", 1, &error));
    ANSWERS(THALWEG_CLOSED, thalweg_engine_close(all.engine, &error));
    what_a_handle_knows_by_itself(all);
    CHECK(value_is(&view, 0, "value"));
    thalweg_event event;
    thalweg_event_init(&event, sizeof event);
    while (thalweg_events_poll(all.events, &event, &error) == THALWEG_OK) continue;
    CHECK(event.kind == THALWEG_EVENT_CLOSED && event.clean == 1);
    OK(thalweg_reader_close(all.reader, &error));
    OK(thalweg_consumer_close(all.consumer, &error));
    OK(thalweg_key_values_close(all.values, &error));
    OK(thalweg_events_close(all.events, &error));
    OK(thalweg_completion_queue_close(all.queue, &error));
    OK(thalweg_batch_retain(all.batch, &error));
    OK(thalweg_batch_release(all.batch, &error));
    CHECK(value_is(&view, 0, "value"));
    OK(thalweg_batch_release(all.batch, &error));
    ANSWERS(THALWEG_CLOSED, thalweg_batch_release(all.batch, &error));
}

/* Topics of one engine given to another one. */
static void engines_are_told_apart(void) {
    thalweg_engine *one = open_engine(new_directory()), *two = open_engine(new_directory());
    thalweg_topic *topic = create_topic(one, "orders", 1);
    thalweg_consumer *consumer = NULL;
    thalweg_key_values *values = NULL;
    OK(thalweg_consumer_open(two, NULL, &consumer, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_subscribe(consumer, topic, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_key_values_open(two, topic, &values, &error));
    CHECK(values == NULL);
    OK(thalweg_consumer_close(consumer, &error));
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_engine_close(one, &error));
    OK(thalweg_engine_close(two, &error));
}

void test_handles(void) {
    thalweg_error_init(&error, sizeof error);
    null_is_told();
    struct handles all = open_all();
    each_call_works_on_its_own_kind(all);
    other_kinds_are_told(all);
    closed_ones_are_told(all);
    parents_may_go_first();
    a_split_after_the_close_is_told_as_one();
    engines_are_told_apart();
}
