/* Appends the lines of the standard input to a topic, as many at a time as there is room for, and ends when all of them
 * are durable. A topic that is not there is made, with one partition or as many as are named.
 *
 *     producer STORE TOPIC [PARTITIONS] < lines
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <thalweg.h>

static void check(thalweg_status status, const thalweg_error *error, const char *what) {
    if (status == THALWEG_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, thalweg_status_name(status), error->message);
    exit(1);
}

/* Takes completions; sleeps until there are some. How many appends became durable. */
static size_t take(thalweg_completion_queue *queue, int fd, thalweg_error *error) {
    thalweg_completion done[256];
    size_t count, durable = 0;
    struct pollfd watched = {fd, POLLIN, 0};
    poll(&watched, 1, -1);
    thalweg_status status = thalweg_completion_queue_poll(queue, done, 256, &count, error);
    if (status == THALWEG_WOULD_BLOCK) return 0;
    check(status, error, "completions");
    for (size_t i = 0; i < count; i++) {
        if (done[i].status == THALWEG_OK) {
            durable++;
        } else if (done[i].status != THALWEG_WOULD_BLOCK) {
            thalweg_completion_queue_failure(queue, &done[i], error, NULL);
            fprintf(stderr, "line %llu: %s\n", (unsigned long long)done[i].token, error->message);
            exit(1);
        }
        /* Else there is room for a line that was refused. */
    }
    return durable;
}

int main(int count, char **arguments) {
    if (count != 3 && count != 4) {
        fprintf(stderr, "usage: %s STORE TOPIC [PARTITIONS] < lines\n", arguments[0]);
        return 2;
    }
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    thalweg_engine *engine;
    check(thalweg_engine_open(arguments[1], NULL, &engine, &error), &error, "open");
    thalweg_topic *topic;
    thalweg_topic_options topic_options;
    thalweg_topic_options_init(&topic_options, sizeof topic_options);
    if (count == 4) topic_options.partitions = (uint32_t)strtoul(arguments[3], NULL, 10);
    thalweg_status status = thalweg_topic_open(engine, arguments[2], &topic, &error);
    if (status == THALWEG_NOT_FOUND) status = thalweg_topic_create(engine, arguments[2], &topic_options, &topic, &error);
    check(status, &error, "topic");
    thalweg_completion_queue *queue;
    check(thalweg_completion_queue_open(0, &queue, &error), &error, "queue");
    int32_t fd;
    check(thalweg_completion_queue_eventfd(queue, &fd, &error), &error, "eventfd");

    /* A line for which there is no room has a completion, too, when there is some. */
    thalweg_append_options options;
    thalweg_append_options_init(&options, sizeof options);
    options.flags = THALWEG_APPEND_NOTIFY;

    char *line = NULL;
    size_t room = 0, durable = 0, submitted = 0;
    for (long size; (size = (long)getline(&line, &room, stdin)) >= 0;) {
        thalweg_record record;
        memset(&record, 0, sizeof record);
        record.value.data = line;
        record.value.size = (size_t)size - (size > 0 && line[size - 1] == '\n');
        /* The line is copied. */
        while ((status = thalweg_topic_submit(topic, THALWEG_PARTITION_ROUND_ROBIN, &record, &options, queue, submitted,
                                              NULL, &error)) == THALWEG_WOULD_BLOCK)
            durable += take(queue, fd, &error);
        check(status, &error, "submit");
        submitted++;
    }
    free(line);
    while (durable < submitted) durable += take(queue, fd, &error);
    printf("%zu lines are durable\n", durable);

    thalweg_completion_queue_close(queue, NULL);
    thalweg_topic_close(topic, NULL);
    check(thalweg_engine_close(engine, &error), &error, "close");
    return 0;
}
