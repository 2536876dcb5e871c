/* Threads that produce, consume, read and close at once: every answer is one that the header names. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "check.h"

static thalweg_engine *engine;
static thalweg_topic *topic;
static thalweg_completion_queue *queue;
/* Nobody works any more; nothing is submitted any more. */
static atomic_int stop, all_submitted;
static atomic_ulong submitted, completed, consumed;

static void expect(thalweg_status status, const thalweg_error *error, const char *what) {
    switch (status) {
        case THALWEG_OK:
        case THALWEG_WOULD_BLOCK:
        case THALWEG_TIMED_OUT:
        case THALWEG_CLOSED:
        case THALWEG_NO_MEMORY: return;
        default: FAIL("%s answers %s: %s", what, thalweg_status_name(status), error->message);
    }
}

static void *produce(void *argument) {
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    uint64_t token = (uint64_t)(uintptr_t)argument << 32;
    thalweg_record record = record_of("some bytes to be carried from here to there");
    while (!atomic_load(&stop)) {
        thalweg_status status =
            thalweg_topic_submit(topic, THALWEG_PARTITION_ROUND_ROBIN, &record, NULL, queue, token++, NULL, &error);
        expect(status, &error, "submit");
        if (status == THALWEG_OK) atomic_fetch_add(&submitted, 1);
        else if (status == THALWEG_CLOSED) break;
        else usleep(100);
    }
    return NULL;
}

static void *complete(void *argument) {
    (void)argument;
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    thalweg_completion done[32];
    size_t count;
    for (;;) {
        /* Asked before: what is submitted in between is not passed over. */
        int last = atomic_load(&all_submitted);
        thalweg_status status = thalweg_completion_queue_wait(queue, done, 32, 10, &count, &error);
        expect(status, &error, "wait");
        if (status == THALWEG_CLOSED) break;
        if (status != THALWEG_OK) continue;
        for (size_t i = 0; i < count; i++) expect(done[i].status, &error, "a completion");
        atomic_fetch_add(&completed, count);
        if (count == 0) {
            if (last) break;
            usleep(100);
        }
    }
    return NULL;
}

static void *consume(void *argument) {
    thalweg_consumer *consumer = argument;
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    thalweg_batch *held[4] = {NULL, NULL, NULL, NULL};
    for (unsigned turn = 0; !atomic_load(&stop); turn++) {
        thalweg_batch *batch;
        thalweg_batch_view view;
        thalweg_status status = thalweg_consumer_wait(consumer, 1 << 14, 5, &batch, &view, &error);
        expect(status, &error, "consumer");
        if (status == THALWEG_CLOSED) break;
        if (status != THALWEG_OK) continue;
        for (size_t i = 0; i < view.count; i++) CHECK(view.data[view.entries[i].value_position] == 's');
        atomic_fetch_add(&consumed, view.count);
        /* Released later, in another order. */
        thalweg_batch_release(held[turn % 4], NULL);
        held[turn % 4] = batch;
    }
    for (int i = 3; i >= 0; i--) thalweg_batch_release(held[i], NULL);
    return NULL;
}

/* Opens and closes what others use and do not. */
static void *meddle(void *argument) {
    (void)argument;
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    while (!atomic_load(&stop)) {
        thalweg_topic *same = NULL;
        thalweg_reader *reader = NULL;
        thalweg_batch *batch = NULL;
        thalweg_batch_view view;
        thalweg_metrics metrics;
        thalweg_metrics_init(&metrics, sizeof metrics);
        expect(thalweg_topic_open(engine, "orders", &same, &error), &error, "open");
        if (same == NULL) break;
        expect(thalweg_reader_open(same, 0, THALWEG_START_EARLIEST, 0, &reader, &error), &error, "reader");
        expect(thalweg_topic_close(same, &error), &error, "close");
        if (reader == NULL) break;
        expect(thalweg_reader_next(reader, 1 << 16, 1, &batch, &view, &error), &error, "next");
        expect(thalweg_reader_close(reader, &error), &error, "close");
        expect(thalweg_engine_metrics(engine, &metrics, &error), &error, "metrics");
        thalweg_batch_release(batch, NULL);
    }
    return NULL;
}

static void round_of(int close_first) {
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    atomic_store(&stop, 0);
    atomic_store(&all_submitted, 0);
    atomic_store(&submitted, 0);
    atomic_store(&completed, 0);
    atomic_store(&consumed, 0);
    engine = open_engine(new_directory());
    topic = create_topic(engine, "orders", 3);
    OK(thalweg_completion_queue_open(4096, &queue, &error));
    thalweg_consumer *consumer;
    OK(thalweg_consumer_open(engine, NULL, &consumer, &error));
    OK(thalweg_consumer_subscribe(consumer, topic, &error));
    pthread_t threads[6];
    CHECK(pthread_create(&threads[0], NULL, produce, (void *)1) == 0);
    CHECK(pthread_create(&threads[1], NULL, produce, (void *)2) == 0);
    CHECK(pthread_create(&threads[2], NULL, complete, NULL) == 0);
    CHECK(pthread_create(&threads[3], NULL, consume, consumer) == 0);
    CHECK(pthread_create(&threads[4], NULL, meddle, NULL) == 0);
    CHECK(pthread_create(&threads[5], NULL, meddle, NULL) == 0);
    /* Until all of them have done something. */
    for (int i = 0; i < 600 && atomic_load(&consumed) < 500; i++) usleep(100000);
    CHECK(atomic_load(&consumed) >= 500);
    if (close_first) {
        OK(thalweg_engine_close(engine, &error));
        OK(thalweg_topic_close(topic, &error));
        OK(thalweg_consumer_close(consumer, &error));
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    atomic_store(&all_submitted, 1);
    for (int i = 2; i < 6; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(atomic_load(&completed) == atomic_load(&submitted));
    if (!close_first) {
        OK(thalweg_consumer_close(consumer, &error));
        OK(thalweg_topic_close(topic, &error));
        OK(thalweg_engine_close(engine, &error));
    }
    OK(thalweg_completion_queue_close(queue, &error));
}

static thalweg_batch *shared;

static void *release(void *answer) {
    *(thalweg_status *)answer = thalweg_batch_release(shared, NULL);
    return NULL;
}

/* Two threads release one batch: one of them is told. */
static void one_release_counts(void) {
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    engine = open_engine(new_directory());
    topic = create_topic(engine, "orders", 1);
    append_value(topic, 0, "value");
    for (int i = 0; i < 200; i++) {
        thalweg_batch_view view;
        OK(thalweg_topic_read(topic, 0, 0, 1 << 20, LONG, &shared, &view, &error));
        pthread_t threads[2];
        thalweg_status answers[2];
        for (int j = 0; j < 2; j++) CHECK(pthread_create(&threads[j], NULL, release, &answers[j]) == 0);
        for (int j = 0; j < 2; j++) CHECK(pthread_join(threads[j], NULL) == 0);
        CHECK((answers[0] == THALWEG_OK) != (answers[1] == THALWEG_OK));
        CHECK(answers[0] == THALWEG_CLOSED || answers[1] == THALWEG_CLOSED);
    }
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_engine_close(engine, &error));
}

void test_threads(void) {
    round_of(0);
    round_of(1);
    round_of(1);
    one_release_counts();
}
