/* What the program beside does, from C: throughput WORKLOAD DIRECTORY RECORDS. Prints records per second, by the
 * clock and by the time that its own thread had a processor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <thalweg.h>

#define VALUE_SIZE 100
#define CHUNK 8192
#define TAKE_MAX 128
#define SUBMITS_MAX 64

static void check(thalweg_status status) {
    if (status == THALWEG_OK) return;
    fprintf(stderr, "%s\n", thalweg_status_text(status));
    exit(1);
}

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static size_t take(thalweg_completion_queue *queue) {
    thalweg_completion done[TAKE_MAX];
    size_t count = 0, taken = 0;
    while (thalweg_completion_queue_poll(queue, done, TAKE_MAX, &count, NULL) == THALWEG_OK) {
        for (size_t i = 0; i < count; i++)
            if (done[i].status != THALWEG_WOULD_BLOCK) check(done[i].status);
        taken += count;
    }
    return taken;
}

/* `count` records in submits of `each`, whose completions are taken as Python does. */
static void append(thalweg_topic *topic, size_t count, size_t each) {
    static char value[VALUE_SIZE];
    memset(value, 'x', sizeof value);
    thalweg_record *records = calloc(each, sizeof *records);
    for (size_t i = 0; i < each; i++) records[i].value = (thalweg_bytes){value, sizeof value};
    thalweg_completion_queue *queue;
    check(thalweg_completion_queue_open(1 << 20, &queue, NULL));
    for (size_t i = 0, submits = 1; i < count; submits++) {
        size_t size = count - i < each ? count - i : each;
        thalweg_status status =
            each == 1 ? thalweg_topic_submit(topic, THALWEG_PARTITION_BY_KEY, records, NULL, queue, i, NULL, NULL)
                      : thalweg_topic_submit_batch(
                            topic, THALWEG_PARTITION_BY_KEY, records, size, NULL, queue, i, NULL, NULL
                        );
        if (status == THALWEG_OK) i += size;
        else if (status != THALWEG_WOULD_BLOCK) check(status);
        else usleep(50);
        if (submits % SUBMITS_MAX == 0 || status != THALWEG_OK) take(queue);
    }
    size_t left;
    while (thalweg_completion_queue_under_way(queue, &left, NULL) == THALWEG_OK && left > 0 && !take(queue)) usleep(50);
    thalweg_completion_queue_close(queue, NULL);
    free(records);
}

/* Reads everything, and looks at the first byte and the size of each value. */
static size_t walk(thalweg_engine *engine, thalweg_topic *topic) {
    thalweg_consumer *consumer;
    check(thalweg_consumer_open(engine, NULL, &consumer, NULL));
    check(thalweg_consumer_subscribe(consumer, topic, NULL));
    thalweg_batch *batch;
    thalweg_batch_view view;
    size_t seen = 0, sum = 0;
    while (thalweg_consumer_wait(consumer, 1 << 20, 0, &batch, &view, NULL) == THALWEG_OK) {
        for (size_t i = 0; i < view.count; i++)
            sum += view.data[view.entries[i].value_position] + view.entries[i].value_size;
        seen += view.count;
        thalweg_batch_release(batch, NULL);
    }
    thalweg_consumer_close(consumer, NULL);
    if (sum != seen * (VALUE_SIZE + 'x')) check(THALWEG_CORRUPT);
    return seen;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    size_t count = strtoull(argv[3], NULL, 10);
    thalweg_engine_options options;
    thalweg_engine_options_init(&options, sizeof options);
    options.shards = 1;
    options.durability = THALWEG_LOSE_ON_KILL;
    thalweg_engine *engine;
    thalweg_topic *topic;
    check(thalweg_engine_open(argv[2], &options, &engine, NULL));
    thalweg_status made = thalweg_topic_create(engine, "t", NULL, &topic, NULL);
    if (made == THALWEG_ALREADY_EXISTS) made = thalweg_topic_open(engine, "t", &topic, NULL);
    check(made);
    /* The first append waits for a file, and the first read for the device. */
    append(topic, 1, 1);
    double start = now(CLOCK_MONOTONIC), used = now(CLOCK_THREAD_CPUTIME_ID);
    if (strcmp(argv[1], "one") == 0) append(topic, count, 1);
    else if (strcmp(argv[1], "lists") == 0) append(topic, count, CHUNK);
    else {
        append(topic, count, CHUNK);
        walk(engine, topic);
        start = now(CLOCK_MONOTONIC), used = now(CLOCK_THREAD_CPUTIME_ID);
        count = walk(engine, topic);
    }
    double clock = now(CLOCK_MONOTONIC) - start, processor = now(CLOCK_THREAD_CPUTIME_ID) - used;
    printf("%.0f %.0f\n", (double)count / clock, (double)count / processor);
    check(thalweg_engine_close(engine, NULL));
    return 0;
}
