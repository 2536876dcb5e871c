/* Appends that are not waited for. */
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>

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

/* Takes the next completion as an event loop does: sleeps until the descriptor is readable. */
static thalweg_completion next_completion(thalweg_completion_queue *queue) {
    struct pollfd wait = {.events = POLLIN};
    OK(thalweg_completion_queue_eventfd(queue, &wait.fd, &error));
    CHECK(poll(&wait, 1, LONG) == 1);
    thalweg_completion done;
    size_t count;
    OK(thalweg_completion_queue_poll(queue, &done, 1, &count, &error));
    return done;
}

/* Where there is no room, a completion tells when to try again, so that nobody polls for that. */
static void room_is_told(thalweg_engine *engine) {
    thalweg_topic *topic = create_topic(engine, "fresh", 3);
    thalweg_completion_queue *queue;
    OK(thalweg_completion_queue_open(0, &queue, &error));
    thalweg_append_options options;
    thalweg_append_options_init(&options, sizeof options);
    options.flags = THALWEG_APPEND_NOTIFY;
    static char large[1 << 20];
    thalweg_record small = record_of("value"), big = record_of("");
    big.value = (thalweg_bytes){large, sizeof large};
    uint64_t token = 0, durable = 0;
    int refused = 0;
    /* The first append of each partition has no segment yet, later ones soon have no memory. */
    while (token < 300 || refused < 4) {
        CHECK(token < 100000);
        thalweg_status status = thalweg_topic_submit(topic, token % 3, token < 3 ? &small : &big, &options, queue, token,
                                                     NULL, &error);
        if (status == THALWEG_OK) {
            token++;
            continue;
        }
        ANSWERS(THALWEG_WOULD_BLOCK, status);
        refused++;
        for (;;) {
            thalweg_completion done = next_completion(queue);
            if (done.status == THALWEG_WOULD_BLOCK) {
                CHECK(done.token == token && done.failure == 0 && done.count == 0);
                break;
            }
            CHECK(done.status == THALWEG_OK);
            durable++;
        }
    }
    for (; durable < token; durable++) CHECK(next_completion(queue).status == THALWEG_OK);
    size_t count;
    OK(thalweg_completion_queue_under_way(queue, &count, &error));
    CHECK(count == 0);
    /* Where there is no queue, nobody can be told. */
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_submit(topic, 0, &small, &options, NULL, 0, NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_append(topic, 0, &small, &options, LONG, NULL, &error));
    OK(thalweg_completion_queue_close(queue, &error));
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

/* A completion of what failed has its reason. */
static void failures(const char *path) {
    thalweg_engine *engine = open_engine(path);
    thalweg_topic *topic = create_topic(engine, "failing", 1);
    thalweg_completion_queue *queue, *other;
    OK(thalweg_completion_queue_open(0, &queue, &error));
    OK(thalweg_completion_queue_open(0, &other, &error));
    static char value[128 << 10];
    thalweg_record record = record_of("");
    record.value = (thalweg_bytes){value, sizeof value};
    OK(thalweg_topic_append(topic, 0, &record, NULL, LONG, NULL, &error));
    /* From here on the system refuses to make files longer than they are, or to write there. */
    struct rlimit before, small;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 64 << 10;
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    thalweg_completion done;
    thalweg_error why;
    do {
        OK(thalweg_topic_submit(topic, 0, &record, NULL, queue, 5, NULL, &error));
        size_t count = 0;
        OK(thalweg_completion_queue_wait(queue, &done, 1, LONG, &count, &error));
        CHECK(count == 1 && done.token == 5);
        thalweg_error_init(&why, sizeof why);
        if (done.status == THALWEG_OK) {
            CHECK(done.failure == 0);
            ANSWERS(THALWEG_NOT_FOUND, thalweg_completion_queue_failure(queue, &done, &why, &error));
        }
    } while (done.status == THALWEG_OK);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(done.failure != 0 && done.os_error == EFBIG && done.base_offset == 0 && done.count == 0);
    OK(thalweg_completion_queue_failure(queue, &done, &why, &error));
    CHECK(why.status == done.status && why.os_error == EFBIG && why.size == sizeof why);
    CHECK(strstr(why.message, "failing") && strstr(why.message, "File too large"));
    /* As often as it is asked, and only of its own queue. */
    OK(thalweg_completion_queue_failure(queue, &done, &why, &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_completion_queue_failure(other, &done, &why, &error));
    why.size = 0;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_completion_queue_failure(queue, &done, &why, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_completion_queue_failure(queue, &done, NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_completion_queue_failure(queue, NULL, &why, &error));
    /* It is what the next append is refused for. */
    ANSWERS(THALWEG_PARTITION_FAILED, thalweg_topic_submit(topic, 0, &record, NULL, queue, 6, NULL, &error));
    OK(thalweg_completion_queue_close(other, &error));
    OK(thalweg_completion_queue_close(queue, &error));
    OK(thalweg_topic_close(topic, &error));
    thalweg_engine_close(engine, NULL);
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
    thalweg_error_init(&error, sizeof error);
    thalweg_engine *engine = open_engine(new_directory());
    thalweg_topic *topic = create_topic(engine, "orders", 1);
    every_token_comes_once(topic);
    capacity(topic);
    timing_out(topic);
    back_pressure(engine);
    room_is_told(engine);
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_engine_close(engine, &error));
    closing(new_directory());
    failures(new_directory());
}
