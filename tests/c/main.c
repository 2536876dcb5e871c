/* Runs the tests: each in a process of its own, so that one that dies fails alone. With names: these. */
#include <ftw.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

struct test {
    const char *name;
    void (*run)(void);
};

/* The sanitizer's allocator is not made for a child of a process with threads: a lock that one of them held at the fork is
   held there for good. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

static const struct test TESTS[] = {
    {"calls", test_calls},         {"handles", test_handles},         {"options", test_options},
    {"topics", test_topics},       {"appends", test_appends},         {"completions", test_completions},
    {"reads", test_reads},         {"consumers", test_consumers},     {"positions", test_positions},
    {"key_values", test_key_values}, {"watching", test_watching},     {"space", test_space},
    {"threads", test_threads},
#ifndef SANITIZED
    {"forks", test_forks},
#endif
    {"crashes", test_crashes},
};

const char *program;
static char directory[] = "/tmp/thalweg-c-XXXXXX";
static int made;

/* In the place of the C library's: counts who asks. */
int environment_asked;

char *getenv(const char *name) {
    size_t size = strlen(name);
    environment_asked++;
    for (char **entry = environ; *entry != NULL; entry++)
        if (strncmp(*entry, name, size) == 0 && (*entry)[size] == '=') return *entry + size + 1;
    return NULL;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk) {
    (void)stat, (void)type, (void)walk;
    return remove(path);
}

static int wanted(const char *name, int count, char **names) {
    for (int i = 1; i < count; i++)
        if (strcmp(names[i], name) == 0) return 1;
    return count < 2;
}

int main(int count, char **names) {
    if (count == 4 && strcmp(names[1], "--crash-child") == 0) return crash_child(names[2], atoi(names[3]));
    program = names[0];
    int passed = 0, failed = 0;
    for (size_t i = 0; i < sizeof TESTS / sizeof *TESTS; i++) {
        if (!wanted(TESTS[i].name, count, names)) continue;
        char place[] = "/tmp/thalweg-c-XXXXXX";
        if (mkdtemp(place) == NULL) return 2;
        strcpy(directory, place);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            /* One that hangs fails. */
            alarm(240);
            TESTS[i].run();
            /* Not _exit: leaks are looked for on the way. */
            exit(0);
        }
        int status = -1;
        waitpid(child, &status, 0);
        nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        printf("%s %s\n", TESTS[i].name, status == 0 ? "ok" : "FAILED");
        if (status == 0) passed++;
        else failed++;
    }
    printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    return failed != 0;
}

const char *new_directory(void) {
    static char paths[64][64];
    CHECK(made < 64);
    snprintf(paths[made], sizeof paths[made], "%s/%d", directory, made);
    return paths[made++];
}

uint32_t runtime_of_tests(void) {
    return getenv("THALWEG_TEST_POSIX") ? THALWEG_RUNTIME_POSIX : THALWEG_RUNTIME_AUTO;
}

thalweg_engine *open_engine(const char *path) {
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    thalweg_engine_options options;
    thalweg_engine_options_init(&options, sizeof options);
    options.memory_budget = 64 << 20;
    options.shards = 1;
    options.runtime = runtime_of_tests();
    thalweg_engine *engine = NULL;
    OK(thalweg_engine_open(path, &options, &engine, &error));
    return engine;
}

thalweg_topic *create_topic(thalweg_engine *engine, const char *name, uint32_t partitions) {
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    thalweg_topic_options options;
    thalweg_topic_options_init(&options, sizeof options);
    options.partitions = partitions;
    thalweg_topic *topic = NULL;
    OK(thalweg_topic_create(engine, name, &options, &topic, &error));
    return topic;
}

thalweg_record record_of(const char *value) {
    thalweg_record record;
    memset(&record, 0, sizeof record);
    record.value.data = value;
    record.value.size = strlen(value);
    return record;
}

uint64_t append_value(thalweg_topic *topic, uint32_t partition, const char *value) {
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    thalweg_record record = record_of(value);
    thalweg_appended appended;
    OK(thalweg_topic_append(topic, partition, &record, NULL, LONG, &appended, &error));
    CHECK(appended.partition == partition && appended.count == 1);
    return appended.base_offset;
}

int value_is(const thalweg_batch_view *view, size_t entry, const char *value) {
    const thalweg_entry *found = &view->entries[entry];
    return (found->flags & THALWEG_ENTRY_VALUE) && found->value_size == strlen(value) &&
           memcmp(view->data + found->value_position, value, found->value_size) == 0;
}

int readable(int fd) {
    struct pollfd poll_fd = {fd, POLLIN, 0};
    return poll(&poll_fd, 1, 0) == 1;
}
