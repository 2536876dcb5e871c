/* A forked child: every handle of the parent says so, and stores of its own work. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static thalweg_error error;

#define EACH_FORKED(call, handle)                                   \
    for (int nth = 0;; nth++) {                                     \
        thalweg_status status = call(nth, handle, &error);          \
        if (status == -1) break;                                    \
        if (status != THALWEG_FORKED)                               \
            FAIL("%s %d answers %s in a child: %s", #call, nth, thalweg_status_name(status), error.message); \
    }

/* What a batch of the parent leads to is not mapped in a child. */
static void memory_of_batches_is_not_there(const thalweg_batch_view *view) {
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL);
        _exit(((const volatile unsigned char *)view->data)[0] == 'v' ? 5 : 6);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

void test_forks(void) {
    thalweg_error_init(&error, sizeof error);
    const char *path = new_directory(), *other = new_directory();
    thalweg_engine *engine = open_engine(path);
    thalweg_topic *topic = create_topic(engine, "orders", 1);
    append_value(topic, 0, "value");
    thalweg_completion_queue *queue;
    thalweg_reader *reader;
    thalweg_consumer *consumer;
    thalweg_batch *batch;
    thalweg_batch_view view;
    thalweg_key_values *values;
    thalweg_events *events;
    OK(thalweg_completion_queue_open(0, &queue, &error));
    OK(thalweg_reader_open(topic, 0, THALWEG_START_EARLIEST, 0, &reader, &error));
    OK(thalweg_consumer_open(engine, NULL, &consumer, &error));
    OK(thalweg_consumer_subscribe(consumer, topic, &error));
    OK(thalweg_topic_read(topic, 0, 0, 1 << 20, LONG, &batch, &view, &error));
    OK(thalweg_key_values_open(engine, topic, &values, &error));
    OK(thalweg_events_open(engine, &events, &error));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        EACH_FORKED(engine_call, engine);
        EACH_FORKED(topic_call, topic);
        EACH_FORKED(queue_call, queue);
        EACH_FORKED(reader_call, reader);
        EACH_FORKED(consumer_call, consumer);
        EACH_FORKED(batch_call, batch);
        EACH_FORKED(key_values_call, values);
        EACH_FORKED(events_call, events);
        ANSWERS(THALWEG_FORKED, thalweg_consumer_close(consumer, &error));
        ANSWERS(THALWEG_FORKED, thalweg_batch_release(batch, &error));
        ANSWERS(THALWEG_FORKED, thalweg_topic_close(topic, &error));
        ANSWERS(THALWEG_FORKED, thalweg_engine_close(engine, &error));
        thalweg_engine *own = open_engine(other);
        thalweg_topic *mine = create_topic(own, "orders", 1);
        append_value(mine, 0, "of the child");
        ANSWERS(THALWEG_FORKED, thalweg_topic_close(topic, &error));
        OK(thalweg_topic_close(mine, &error));
        OK(thalweg_engine_close(own, &error));
        /* What only the threads of the parent know of is no leak: no exit, at which leaks are looked for. */
        execl("/bin/true", "true", (char *)NULL);
        _exit(4);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    memory_of_batches_is_not_there(&view);
    /* The parent goes on as if nothing had been. */
    CHECK(append_value(topic, 0, "again") == 1);
    CHECK(value_is(&view, 0, "value"));
    OK(thalweg_events_close(events, &error));
    OK(thalweg_key_values_close(values, &error));
    OK(thalweg_batch_release(batch, &error));
    OK(thalweg_consumer_close(consumer, &error));
    OK(thalweg_reader_close(reader, &error));
    OK(thalweg_completion_queue_close(queue, &error));
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_engine_close(engine, &error));
}
