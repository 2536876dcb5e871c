/* Appends that are not waited for. */
#include "check.h"

static thalweg_error error;

static void every_token_comes_once(thalweg_topic *topic) {
    enum { COUNT = 1000 };
    static unsigned char seen[COUNT];
    thalweg_completion_queue *queue;
    OK(thalweg_completion_queue_open(0, &queue, &error));
    int32_t fd;
    OK(thalweg_completion_queue_eventfd(queue, &fd, &error));
    CHECK(!readable(fd));
    thalweg_completion done[64];
    size_t count = 99;
    ANSWERS(THALWEG_WOULD_BLOCK, thalweg_completion_queue_poll(queue, done, 64, &count, &error));
    CHECK(count == 99);
    thalweg_record pair[2] = {record_of("one"), record_of("two")};
    thalweg_record none;
    memset(&none, 0, sizeof none);
    thalweg_bytes pieces[2] = {{"th", 2}, {"ree", 3}};
    thalweg_appended appended;
    for (uint64_t token = 0; token < COUNT; token++) {
        thalweg_status status;
        do {
            switch (token % 3) {
                case 0: status = thalweg_topic_submit(topic, 0, pair, NULL, queue, token, &appended, &error); break;
                case 1:
                    status = thalweg_topic_submit_batch(topic, 0, pair, 2, NULL, queue, token, &appended, &error);
                    break;
                default:
                    status =
                        thalweg_topic_submit_parts(topic, 0, &none, pieces, 2, NULL, queue, token, &appended, &error);
            }
        } while (status == THALWEG_WOULD_BLOCK);
        OK(status);
        CHECK(appended.partition == 0 && appended.count == (token % 3 == 1 ? 2u : 1u));
    }
    size_t all = 0;
    while (all < COUNT) {
        OK(thalweg_completion_queue_wait(queue, done, 64, LONG, &count, &error));
        CHECK(count > 0);
        for (size_t i = 0; i < count; i++) {
            CHECK(done[i].status == THALWEG_OK && done[i].os_error == 0 && done[i].token < COUNT);
            CHECK(done[i].count == (done[i].token % 3 == 1 ? 2u : 1u) && done[i].partition == 0);
            CHECK(!seen[done[i].token]++);
        }
        all += count;
    }
    CHECK(!readable(fd));
    OK(thalweg_completion_queue_under_way(queue, &count, &error));
    CHECK(count == 0);
    /* Nothing is under way: a loop over it ends. */
    OK(thalweg_completion_queue_wait(queue, done, 64, -1, &count, &error));
    CHECK(count == 0);
    uint64_t next;
    OK(thalweg_topic_next_offset(topic, 0, &next, &error));
    CHECK(next == COUNT + COUNT / 3);
    OK(thalweg_completion_queue_close(queue, &error));
}

static void capacity(thalweg_topic *topic) {
    thalweg_completion_queue *queue = NULL;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_completion_queue_open((1 << 24) + 1, &queue, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_completion_queue_open(1, NULL, &error));
    CHECK(queue == NULL);
    OK(thalweg_completion_queue_open(2, &queue, &error));
    thalweg_record record = record_of("value");
    OK(thalweg_topic_submit(topic, 0, &record, NULL, queue, 1, NULL, &error));
    OK(thalweg_topic_submit(topic, 0, &record, NULL, queue, 2, NULL, &error));
    ANSWERS(THALWEG_WOULD_BLOCK, thalweg_topic_submit(topic, 0, &record, NULL, queue, 3, NULL, &error));
    thalweg_completion done[2];
    size_t count;
    int32_t fd;
    OK(thalweg_completion_queue_eventfd(queue, &fd, &error));
    OK(thalweg_completion_queue_wait(queue, done, 1, LONG, &count, &error));
    CHECK(count == 1);
    OK(thalweg_completion_queue_wait(queue, done, 1, LONG, &count, &error));
    CHECK(count == 1 && !readable(fd));
    OK(thalweg_topic_submit(topic, 0, &record, NULL, queue, 3, NULL, &error));
    OK(thalweg_completion_queue_wait(queue, done, 2, LONG, &count, &error));
    CHECK(count == 1 && done[0].token == 3);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_completion_queue_poll(queue, NULL, 1, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_completion_queue_poll(queue, done, 0, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_completion_queue_poll(queue, done, 1, NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_completion_queue_wait(queue, NULL, 1, 0, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_completion_queue_eventfd(queue, NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_completion_queue_under_way(queue, NULL, &error));
    ANSWERS(THALWEG_CLOSED, (thalweg_completion_queue_close(queue, NULL),
                             thalweg_topic_submit(topic, 0, &record, NULL, queue, 4, NULL, &error)));
    ANSWERS(THALWEG_INVALID_ARGUMENT,
            thalweg_topic_submit(topic, 0, &record, NULL, (thalweg_completion_queue *)topic, 4, NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_submit(topic, 0, NULL, NULL, NULL, 4, NULL, &error));
    /* Nobody wants to know. */
    OK(thalweg_topic_submit(topic, 0, &record, NULL, NULL, 0, NULL, &error));
}

/* More than the memory holds: the calls say so, and go on once the device has taken some. */
static void back_pressure(thalweg_engine *engine) {
    thalweg_topic *topic = create_topic(engine, "pressure", 1);
    static char value[1 << 20];
    thalweg_record record = record_of("");
    record.value = (thalweg_bytes){value, sizeof value};
    int refused = 0, submitted = 0;
    while (!refused && submitted < 10000) {
        thalweg_status status = thalweg_topic_submit(topic, 0, &record, NULL, NULL, 0, NULL, &error);
        if (status == THALWEG_WOULD_BLOCK) {
            refused = 1;
        } else {
            OK(status);
            submitted++;
        }
    }
    CHECK(refused);
    /* The twin waits. */
    thalweg_appended appended;
    OK(thalweg_topic_append(topic, 0, &record, NULL, LONG, &appended, &error));
    CHECK(appended.base_offset == (uint64_t)submitted);
    OK(thalweg_topic_close(topic, &error));
}

/* What was under way when the engine is closed is told. */
static void closing(const char *path) {
    thalweg_engine *engine = open_engine(path);
    thalweg_topic *topic = create_topic(engine, "closing", 1);
    thalweg_completion_queue *queue;
    OK(thalweg_completion_queue_open(0, &queue, &error));
    thalweg_record record = record_of("value");
    for (uint64_t token = 0; token < 100; token++) {
        thalweg_status status;
        do status = thalweg_topic_submit(topic, 0, &record, NULL, queue, token, NULL, &error);
        while (status == THALWEG_WOULD_BLOCK);
        OK(status);
    }
    OK(thalweg_engine_close(engine, &error));
    thalweg_completion done[100];
    size_t all = 0, count;
    while (all < 100) {
        OK(thalweg_completion_queue_wait(queue, done, 100, LONG, &count, &error));
        for (size_t i = 0; i < count; i++) CHECK(done[i].status == THALWEG_OK);
        all += count;
    }
    ANSWERS(THALWEG_CLOSED, thalweg_topic_submit(topic, 0, &record, NULL, queue, 0, NULL, &error));
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_completion_queue_close(queue, &error));
}

/* A time-out that is over at once. */
static void timing_out(thalweg_topic *topic) {
    thalweg_record record = record_of("value");
    thalweg_appended appended = {77, 77, 77};
    int late = 0;
    for (int i = 0; i < 1000 && !late; i++) {
        thalweg_status status = thalweg_topic_append(topic, 0, &record, NULL, 0, &appended, &error);
        if (status == THALWEG_TIMED_OUT) late = 1;
        else OK(status);
    }
    CHECK(late);
}

void test_completions(void) {
    thalweg_error_init(&error);
    thalweg_engine *engine = open_engine(new_directory());
    thalweg_topic *topic = create_topic(engine, "orders", 1);
    every_token_comes_once(topic);
    capacity(topic);
    timing_out(topic);
    back_pressure(engine);
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_engine_close(engine, &error));
    closing(new_directory());
}
