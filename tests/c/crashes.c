/* A process is killed in the middle of its appends: what was acknowledged is there, and what is there is a prefix. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* Appends numbers until it is killed, and tells through a pipe which of them are acknowledged: all below. */
int crash_child(const char *path, int acknowledged) {
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    thalweg_engine *engine = open_engine(path);
    thalweg_topic *topic = NULL;
    if (thalweg_topic_open(engine, "orders", &topic, NULL) != THALWEG_OK) topic = create_topic(engine, "orders", 1);
    thalweg_completion_queue *queue;
    OK(thalweg_completion_queue_open(256, &queue, &error));
    uint64_t number, base;
    OK(thalweg_topic_next_offset(topic, 0, &number, &error));
    base = number;
    static unsigned char seen[1 << 24];
    for (;;) {
        thalweg_record record = record_of("");
        record.value = (thalweg_bytes){&number, sizeof number};
        thalweg_appended appended;
        thalweg_status status = thalweg_topic_submit(topic, 0, &record, NULL, queue, number, &appended, &error);
        if (status == THALWEG_OK) {
            CHECK(appended.base_offset == number);
            number++;
            continue;
        }
        ANSWERS(THALWEG_WOULD_BLOCK, status);
        thalweg_completion done[256];
        size_t count;
        OK(thalweg_completion_queue_wait(queue, done, 256, LONG, &count, &error));
        for (size_t i = 0; i < count; i++) {
            CHECK(done[i].status == THALWEG_OK && done[i].base_offset == done[i].token);
            CHECK(done[i].token < sizeof seen);
            seen[done[i].token] = 1;
        }
        uint64_t before = base;
        while (seen[base]) base++;
        if (base > before && write(acknowledged, &base, sizeof base) != sizeof base) return 3;
    }
}

static uint64_t kill_one(const char *path) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", ends[1]);
        close(ends[0]);
        execl(program, program, "--crash-child", path, number, (char *)NULL);
        _exit(4);
    }
    close(ends[1]);
    uint64_t acknowledged = 0, next;
    for (int i = 0; i < 20; i++) {
        CHECK(read(ends[0], &next, sizeof next) == sizeof next);
        acknowledged = next;
    }
    CHECK(kill(child, SIGKILL) == 0);
    while (read(ends[0], &next, sizeof next) == sizeof next) acknowledged = next;
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ends[0]);
    return acknowledged;
}

void test_crashes(void) {
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    const char *path = new_directory();
    for (int round = 0; round < 4; round++) {
        uint64_t acknowledged = kill_one(path);
        thalweg_engine *engine = open_engine(path);
        thalweg_topic *topic;
        OK(thalweg_topic_open(engine, "orders", &topic, &error));
        thalweg_reader *reader;
        OK(thalweg_reader_open(topic, 0, THALWEG_START_EARLIEST, 0, &reader, &error));
        uint64_t expected = 0;
        thalweg_batch *batch;
        thalweg_batch_view view;
        thalweg_status status;
        while ((status = thalweg_reader_next(reader, 1 << 20, 0, &batch, &view, &error)) == THALWEG_OK) {
            for (size_t i = 0; i < view.count; i++, expected++) {
                uint64_t number;
                CHECK(view.entries[i].offset == expected && view.entries[i].value_size == sizeof number);
                memcpy(&number, view.data + view.entries[i].value_position, sizeof number);
                CHECK(number == expected);
            }
            OK(thalweg_batch_release(batch, &error));
        }
        ANSWERS(THALWEG_WOULD_BLOCK, status);
        if (expected < acknowledged || acknowledged == 0)
            FAIL("%llu records of %llu", (unsigned long long)expected, (unsigned long long)acknowledged);
        thalweg_info info;
        thalweg_info_init(&info, sizeof info);
        OK(thalweg_engine_info(engine, &info, &error));
        CHECK(info.recovered_damaged == 0);
        OK(thalweg_reader_close(reader, &error));
        OK(thalweg_topic_close(topic, &error));

        OK(thalweg_engine_close(engine, &error));
    }
}
