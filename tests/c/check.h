/* What the tests of the C interface share: checks that say what they saw, stores in directories that go again. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "thalweg.h"

/* Long enough for any step on a busy machine. ms. */
#define LONG 60000

#define FAIL(...)                                                     \
    do {                                                              \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);               \
        fprintf(stderr, __VA_ARGS__);                                 \
        fprintf(stderr, "\n");                                        \
        _Exit(1);                                                     \
    } while (0)

#define CHECK(condition)                            \
    do {                                            \
        if (!(condition)) FAIL("not: %s", #condition); \
    } while (0)

/* The status that a call answers; the error is called `error` where it is used. */
#define ANSWERS(expected, call)                                                                        \
    do {                                                                                               \
        thalweg_status answer_ = (call);                                                               \
        if (answer_ != (expected))                                                                     \
            FAIL("%s answers %s, not %s: %s", #call, thalweg_status_name(answer_), #expected, error.message); \
    } while (0)

#define OK(call) ANSWERS(THALWEG_OK, call)

/* A new directory, removed at the end of the test. */
const char *new_directory(void);
/* The path of the tests, to run once more as another process. */
extern const char *program;
/* How often somebody has called getenv. */
extern int environment_asked;
/* THALWEG_RUNTIME_AUTO, or with THALWEG_TEST_POSIX in the environment THALWEG_RUNTIME_POSIX: valgrind lets no other thread
   run while one waits in io_uring_enter. */
uint32_t runtime_of_tests(void);
/* An engine with a small budget. */
thalweg_engine *open_engine(const char *path);
thalweg_topic *create_topic(thalweg_engine *engine, const char *name, uint32_t partitions);
/* A record with a value, which ends with a zero byte that does not count. */
thalweg_record record_of(const char *value);
/* Appends a record to a partition, durably; its offset. */
uint64_t append_value(thalweg_topic *topic, uint32_t partition, const char *value);
/* Whether the value of a record is this. */
int value_is(const thalweg_batch_view *view, size_t entry, const char *value);
int readable(int fd);

/* One for each file. */
void test_calls(void);
void test_handles(void);
void test_options(void);
void test_topics(void);
void test_appends(void);
void test_completions(void);
void test_reads(void);
void test_consumers(void);
void test_positions(void);
void test_key_values(void);
void test_watching(void);
void test_space(void);
void test_threads(void);
void test_forks(void);
void test_crashes(void);
/* The process that test_crashes kills. */
int crash_child(const char *path, int acknowledged);

/* Calls on handles of each kind, all of which would succeed or answer something harmless; -1: there is no nth. */
thalweg_status engine_call(int nth, thalweg_engine *engine, thalweg_error *error);
thalweg_status topic_call(int nth, thalweg_topic *topic, thalweg_error *error);
thalweg_status queue_call(int nth, thalweg_completion_queue *queue, thalweg_error *error);
thalweg_status reader_call(int nth, thalweg_reader *reader, thalweg_error *error);
thalweg_status consumer_call(int nth, thalweg_consumer *consumer, thalweg_error *error);
thalweg_status batch_call(int nth, thalweg_batch *batch, thalweg_error *error);
thalweg_status key_values_call(int nth, thalweg_key_values *values, thalweg_error *error);
thalweg_status events_call(int nth, thalweg_events *events, thalweg_error *error);

#endif
