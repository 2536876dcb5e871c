/* Consumers. */
#include <pthread.h>
#include <unistd.h>

#include "check.h"

static thalweg_error error;

static thalweg_consumer *open_consumer(thalweg_engine *engine, const char *name) {
    thalweg_consumer_options options;
    thalweg_consumer_options_init(&options, sizeof options);
    options.name = name;
    thalweg_consumer *consumer = NULL;
    OK(thalweg_consumer_open(engine, &options, &consumer, &error));
    return consumer;
}

/* Polls until there is nothing; how many records there were. */
static size_t drain(thalweg_consumer *consumer) {
    thalweg_batch *batch;
    thalweg_batch_view view;
    size_t count = 0;
    thalweg_status status;
    while ((status = thalweg_consumer_wait(consumer, 1 << 20, 0, &batch, &view, &error)) == THALWEG_OK) {
        count += view.count;
        OK(thalweg_batch_release(batch, &error));
    }
    ANSWERS(THALWEG_WOULD_BLOCK, status);
    return count;
}

static void options(thalweg_engine *engine) {
    thalweg_consumer *consumer = NULL, *second = NULL;
    thalweg_consumer_options options;
    thalweg_consumer_options_init(&options, sizeof options);
    options.start = THALWEG_START_OFFSET;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_open(engine, &options, &consumer, &error));
    options.start = 9;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_open(engine, &options, &consumer, &error));
    options.start = THALWEG_START_EARLIEST;
    options.out_of_range = 4;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_open(engine, &options, &consumer, &error));
    options.out_of_range = THALWEG_OUT_OF_RANGE_TIME;
    options.name = "a b";
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_open(engine, &options, &consumer, &error));
    options.name = "billing";
    options.reserved = 1;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_open(engine, &options, &consumer, &error));
    options.reserved = 0;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_open(engine, &options, NULL, &error));
    OK(thalweg_consumer_open(engine, &options, &consumer, &error));
    ANSWERS(THALWEG_ALREADY_OPEN, thalweg_consumer_open(engine, &options, &second, &error));
    CHECK(second == NULL);
    thalweg_batch *batch;
    thalweg_batch_view view;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_poll(consumer, 1, &batch, &view, &error));
    OK(thalweg_consumer_close(consumer, &error));
    OK(thalweg_consumer_open(engine, &options, &second, &error));
    OK(thalweg_consumer_close(second, &error));
}

static void topics_and_turns(thalweg_engine *engine) {
    thalweg_topic *orders = create_topic(engine, "orders", 2), *payments = create_topic(engine, "payments", 1);
    append_value(orders, 0, "a");
    append_value(orders, 1, "b");
    append_value(payments, 0, "c");
    thalweg_consumer *consumer = open_consumer(engine, NULL);
    OK(thalweg_consumer_subscribe(consumer, orders, &error));
    OK(thalweg_consumer_assign(consumer, payments, 0, THALWEG_START_EARLIEST, 0, &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_consumer_assign(consumer, payments, 1, THALWEG_START_EARLIEST, 0, &error));
    ANSWERS(THALWEG_OUT_OF_RANGE, thalweg_consumer_assign(consumer, payments, 0, THALWEG_START_OFFSET, 5, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_assign(consumer, payments, 0, 9, 0, &error));
    OK(thalweg_consumer_assign(consumer, payments, 0, THALWEG_START_COMMITTED, 0, &error));
    uint64_t lag;
    OK(thalweg_consumer_lag(consumer, &lag, &error));
    CHECK(lag == 3);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_lag(consumer, NULL, &error));
    int seen = 0;
    thalweg_batch *batch;
    thalweg_batch_view view;
    for (int i = 0; i < 3; i++) {
        OK(thalweg_consumer_poll(consumer, 1, &batch, &view, &error));
        CHECK(view.count == 1);
        if (value_is(&view, 0, "a")) {
            seen |= 1;
            CHECK(strcmp(view.topic, "orders") == 0 && view.partition == 0);
        }
        if (value_is(&view, 0, "b")) {
            seen |= 2;
            CHECK(strcmp(view.topic, "orders") == 0 && view.partition == 1);
        }
        if (value_is(&view, 0, "c")) {
            seen |= 4;
            CHECK(strcmp(view.topic, "payments") == 0);
        }
        OK(thalweg_batch_release(batch, &error));
    }
    CHECK(seen == 7);
    ANSWERS(THALWEG_WOULD_BLOCK, thalweg_consumer_poll(consumer, 1, &batch, &view, &error));
    ANSWERS(THALWEG_TIMED_OUT, thalweg_consumer_wait(consumer, 1, 5, &batch, &view, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_poll(consumer, 1, NULL, &view, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_wait(consumer, 1, 0, &batch, NULL, &error));

    /* A partition that comes later is read, too. */
    OK(thalweg_topic_add_partitions(orders, 3, &error));
    append_value(orders, 2, "d");
    OK(thalweg_consumer_wait(consumer, 1 << 20, LONG, &batch, &view, &error));
    CHECK(view.partition == 2 && value_is(&view, 0, "d"));
    OK(thalweg_batch_release(batch, &error));

    OK(thalweg_consumer_seek(consumer, orders, 1, THALWEG_START_OFFSET, 0, &error));
    ANSWERS(THALWEG_OUT_OF_RANGE, thalweg_consumer_seek(consumer, orders, 1, THALWEG_START_OFFSET, 9, &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_consumer_seek(consumer, orders, 9, THALWEG_START_EARLIEST, 0, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_seek(consumer, orders, 1, 9, 0, &error));
    CHECK(drain(consumer) == 1);
    OK(thalweg_consumer_seek_all(consumer, THALWEG_START_EARLIEST, 0, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_seek_all(consumer, THALWEG_START_OFFSET, 0, &error));
    CHECK(drain(consumer) == 4);
    OK(thalweg_consumer_seek_all(consumer, THALWEG_START_LATEST, 0, &error));
    CHECK(drain(consumer) == 0);
    OK(thalweg_consumer_unsubscribe(consumer, orders, &error));
    append_value(orders, 0, "unread");
    append_value(payments, 0, "read");
    CHECK(drain(consumer) == 1);
    OK(thalweg_consumer_unsubscribe(consumer, payments, &error));

    /* The topic that goes is told of, once. */
    OK(thalweg_consumer_subscribe(consumer, orders, &error));
    OK(thalweg_consumer_subscribe(consumer, payments, &error));
    OK(thalweg_topic_delete(engine, "orders", &error));
    thalweg_status status;
    int told = 0;
    while ((status = thalweg_consumer_wait(consumer, 1 << 20, 0, &batch, &view, &error)) != THALWEG_WOULD_BLOCK) {
        if (status == THALWEG_DELETED) {
            told++;
            CHECK(strcmp(error.topic, "orders") == 0 && error.partition == THALWEG_NO_PARTITION);
        } else {
            OK(status);
            OK(thalweg_batch_release(batch, &error));
        }
    }
    CHECK(told == 1);
    OK(thalweg_topic_close(orders, &error));
    OK(thalweg_topic_close(payments, &error));
    OK(thalweg_consumer_close(consumer, &error));
}

static void descriptor(thalweg_engine *engine) {
    thalweg_topic *topic = create_topic(engine, "watched", 2);
    thalweg_consumer *consumer = open_consumer(engine, NULL);
    OK(thalweg_consumer_subscribe(consumer, topic, &error));
    int32_t fd;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_eventfd(consumer, NULL, &error));
    OK(thalweg_consumer_eventfd(consumer, &fd, &error));
    CHECK(drain(consumer) == 0 && !readable(fd));
    append_value(topic, 1, "a");
    append_value(topic, 1, "b");
    CHECK(readable(fd));
    thalweg_batch *batch;
    thalweg_batch_view view;
    OK(thalweg_consumer_poll(consumer, 1, &batch, &view, &error));
    OK(thalweg_batch_release(batch, &error));
    CHECK(readable(fd));
    CHECK(drain(consumer) == 1 && !readable(fd));
    OK(thalweg_consumer_close(consumer, &error));
    OK(thalweg_topic_close(topic, &error));
}

static void *wait_long(void *argument) {
    thalweg_error mine;
    thalweg_error_init(&mine, sizeof mine);
    thalweg_batch *batch = NULL;
    thalweg_batch_view view;
    return (void *)(intptr_t)thalweg_consumer_wait(argument, 1 << 20, -1, &batch, &view, &mine);
}

/* One thread waits; others wake it, are told that it is in there, close the consumer under it, and the engine. */
static void waiting(void) {
    thalweg_engine *engine = open_engine(new_directory());
    thalweg_topic *topic = create_topic(engine, "quiet", 1);
    thalweg_consumer *consumer = open_consumer(engine, "sleeper");
    OK(thalweg_consumer_subscribe(consumer, topic, &error));
    pthread_t thread;
    void *status;
    CHECK(pthread_create(&thread, NULL, wait_long, consumer) == 0);
    uint64_t lag;
    thalweg_status busy;
    do {
        usleep(1000);
        busy = thalweg_consumer_lag(consumer, &lag, &error);
    } while (busy == THALWEG_OK);
    ANSWERS(THALWEG_WOULD_BLOCK, busy);
    OK(thalweg_consumer_wakeup(consumer, &error));
    CHECK(pthread_join(thread, &status) == 0 && (intptr_t)status == THALWEG_TIMED_OUT);
    CHECK(pthread_create(&thread, NULL, wait_long, consumer) == 0);
    usleep(5000);
    OK(thalweg_consumer_close(consumer, &error));
    CHECK(pthread_join(thread, &status) == 0);
    CHECK((intptr_t)status == THALWEG_TIMED_OUT || (intptr_t)status == THALWEG_CLOSED);
    consumer = open_consumer(engine, "sleeper");
    OK(thalweg_consumer_subscribe(consumer, topic, &error));
    CHECK(pthread_create(&thread, NULL, wait_long, consumer) == 0);
    usleep(5000);
    OK(thalweg_engine_close(engine, &error));
    CHECK(pthread_join(thread, &status) == 0 && (intptr_t)status == THALWEG_CLOSED);
    OK(thalweg_consumer_close(consumer, &error));
    OK(thalweg_topic_close(topic, &error));
}

static void out_of_range(thalweg_engine *engine) {
    thalweg_topic *topic = create_topic(engine, "short", 1);
    for (int i = 0; i < 4; i++) append_value(topic, 0, "x");
    thalweg_consumer_options options;
    thalweg_consumer_options_init(&options, sizeof options);
    thalweg_consumer *strict, *lenient;
    OK(thalweg_consumer_open(engine, &options, &strict, &error));
    options.out_of_range = THALWEG_OUT_OF_RANGE_EARLIEST;
    OK(thalweg_consumer_open(engine, &options, &lenient, &error));
    OK(thalweg_consumer_subscribe(strict, topic, &error));
    OK(thalweg_consumer_subscribe(lenient, topic, &error));
    OK(thalweg_topic_truncate_before(topic, 0, 2, &error));
    thalweg_batch *batch;
    thalweg_batch_view view;
    ANSWERS(THALWEG_OUT_OF_RANGE, thalweg_consumer_poll(strict, 1, &batch, &view, &error));
    ANSWERS(THALWEG_OUT_OF_RANGE, thalweg_consumer_poll(strict, 1, &batch, &view, &error));
    CHECK(strcmp(error.topic, "short") == 0 && error.partition == 0 && error.start == error.end);
    CHECK(strstr(error.message, "out_of_range") != NULL && strstr(error.message, "seek") != NULL);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_poll(strict, 1, NULL, &view, &error));
    CHECK(error.topic[0] == 0 && error.partition == THALWEG_NO_PARTITION);
    CHECK(drain(lenient) == 2);
    OK(thalweg_consumer_close(strict, &error));
    OK(thalweg_consumer_close(lenient, &error));
    OK(thalweg_topic_close(topic, &error));
}

void test_consumers(void) {
    thalweg_error_init(&error, sizeof error);
    thalweg_engine *engine = open_engine(new_directory());
    options(engine);
    topics_and_turns(engine);
    descriptor(engine);
    out_of_range(engine);
    OK(thalweg_engine_close(engine, &error));
    waiting();
}
