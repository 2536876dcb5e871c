/* Reads a topic in an epoll loop, prints the records, and commits how far it is under a name: started again, it goes on
 * there. Ends when nothing has come for a second.
 *
 *     consumer STORE TOPIC NAME
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <thalweg.h>

static void check(thalweg_status status, const thalweg_error *error, const char *what) {
    if (status == THALWEG_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, thalweg_status_name(status), error->message);
    exit(1);
}

static void print(const thalweg_batch_view *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        const thalweg_entry *entry = &batch->entries[i];
        printf("%s %u %llu: %.*s\n", batch->topic, batch->partition, (unsigned long long)entry->offset,
               (int)entry->value_size, (const char *)batch->data + entry->value_position);
    }
}

int main(int count, char **arguments) {
    if (count != 4) {
        fprintf(stderr, "usage: %s STORE TOPIC NAME\n", arguments[0]);
        return 2;
    }
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    thalweg_engine *engine;
    thalweg_engine_options existing;
    thalweg_engine_options_init(&existing, sizeof existing);
    existing.flags = THALWEG_ENGINE_NO_CREATE;
    check(thalweg_engine_open(arguments[1], &existing, &engine, &error), &error, "open");
    thalweg_topic *topic;
    check(thalweg_topic_open(engine, arguments[2], &topic, &error), &error, "topic");
    thalweg_consumer_options options;
    thalweg_consumer_options_init(&options, sizeof options);
    options.name = arguments[3];
    thalweg_consumer *consumer;
    check(thalweg_consumer_open(engine, &options, &consumer, &error), &error, "consumer");
    check(thalweg_consumer_subscribe(consumer, topic, &error), &error, "subscribe");
    /* The consumer has what it needs of the topic. */
    thalweg_topic_close(topic, NULL);
    int32_t fd;
    check(thalweg_consumer_eventfd(consumer, &fd, &error), &error, "eventfd");

    int loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event watched = {.events = EPOLLIN, .data = {.ptr = consumer}};
    if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, fd, &watched) != 0) return 1;
    for (;;) {
        struct epoll_event ready;
        int count = epoll_wait(loop, &ready, 1, 1000);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        thalweg_batch *batch;
        thalweg_batch_view view;
        thalweg_status status;
        /* Until there is nothing: the descriptor stays readable as long as there is. */
        while ((status = thalweg_consumer_poll(ready.data.ptr, 1 << 20, &batch, &view, &error)) == THALWEG_OK) {
            print(&view);
            thalweg_batch_release(batch, NULL);
        }
        if (status != THALWEG_WOULD_BLOCK) check(status, &error, "poll");
        /* Handled, and only now committed: what is not comes again. This waits for the device. */
        if (fflush(stdout) != 0) return 1;
        check(thalweg_consumer_commit(consumer, &error), &error, "commit");
    }
    close(loop);
    thalweg_consumer_close(consumer, NULL);
    check(thalweg_engine_close(engine, &error), &error, "close");
    return 0;
}
