/* Structs that begin with their own size, and options outside their ranges. */
#include <stdint.h>

#include "check.h"

static thalweg_error error;

static thalweg_status open_with(const void *options) {
    thalweg_engine *engine = NULL;
    thalweg_status status = thalweg_engine_open(new_directory(), options, &engine, &error);
    if (status == THALWEG_OK) OK(thalweg_engine_close(engine, &error));
    else CHECK(engine == NULL);
    return status;
}

/* As a later version would have it. */
struct longer {
    thalweg_engine_options known;
    uint64_t added;
};

static void sizes(void) {
    struct longer later;
    memset(&later, 0xff, sizeof later);
    thalweg_engine_options_init(&later.known, sizeof later);
    CHECK(later.known.size == sizeof later && later.added == 0 && later.known.shards == 0);
    later.known.runtime = runtime_of_tests();
    OK(open_with(&later));
    later.added = 1;
    ANSWERS(THALWEG_UNSUPPORTED, open_with(&later));
    thalweg_engine_options options;
    thalweg_engine_options_init(&options, sizeof options);
    const uint32_t wrong[] = {0, 4, 4097, UINT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        options.size = wrong[i];
        ANSWERS(THALWEG_INVALID_ARGUMENT, open_with(&options));
        CHECK(strstr(error.message, "the size in thalweg_engine_options ") != NULL);
    }
    /* As an earlier version would have it: what comes behind is not looked at. */
    memset(&options, 0xff, sizeof options);
    options.size = 12;
    options.flags = 0;
    options.runtime = runtime_of_tests();
    OK(open_with(&options));
}

static void ranges(void) {
    thalweg_engine_options options;
#define REFUSED(field, value, status)                          \
    thalweg_engine_options_init(&options, sizeof options);     \
    options.field = (value);                                   \
    ANSWERS(status, open_with(&options))
    REFUSED(flags, 1u << 31, THALWEG_INVALID_ARGUMENT);
    REFUSED(runtime, 3, THALWEG_INVALID_ARGUMENT);
    REFUSED(durability, 4, THALWEG_INVALID_ARGUMENT);
    REFUSED(memory_budget, 1, THALWEG_INVALID_ARGUMENT);
    REFUSED(segment_size, 1, THALWEG_INVALID_ARGUMENT);
    REFUSED(shards, 65, THALWEG_INVALID_ARGUMENT);
    REFUSED(open_files, 1, THALWEG_INVALID_ARGUMENT);
    REFUSED(lock_timeout_ms, INT64_MAX, THALWEG_INVALID_ARGUMENT);
    REFUSED(flags, THALWEG_ENGINE_NO_CREATE, THALWEG_NOT_FOUND);
    REFUSED(flags, THALWEG_ENGINE_READ_ONLY, THALWEG_NOT_FOUND);
#undef REFUSED
    thalweg_engine *engine = NULL;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_engine_open(NULL, NULL, &engine, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_engine_open("x", NULL, NULL, &error));
    thalweg_engine *none = NULL;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_engine_open("", NULL, &none, &error));
    CHECK(strcmp(error.message, "the path of the store is empty") == 0);
    /* The reason stands at the end of the message, and is not cut off. */
    static char path[6000];
    memset(path, 'x', sizeof path - 1);
    ANSWERS(THALWEG_IO, thalweg_engine_open(path, NULL, &none, &error));
    if (!strstr(error.message, "too long")) FAIL("the reason is missing: %s", error.message);
    CHECK(strlen(error.message) < sizeof error.message && strstr(error.message, "x ... x"));
    /* Without a place for the error the answer is the same. */
    CHECK(thalweg_engine_open(NULL, NULL, &engine, NULL) == THALWEG_INVALID_ARGUMENT);
    /* One that nobody made ready is left alone. */
    thalweg_error unready;
    memset(&unready, 0, sizeof unready);
    CHECK(thalweg_engine_open(NULL, NULL, &engine, &unready) == THALWEG_INVALID_ARGUMENT);
    CHECK(unready.status == 0 && unready.message[0] == 0);
    /* An older one gets what it has, and a later one zeros for the rest. */
    struct {
        thalweg_error known;
        uint64_t later;
    } versions;
    memset(&versions, 0xa5, sizeof versions);
    thalweg_error_init(&versions.known, 16);
    CHECK(versions.known.partition == 0 && (uint8_t)versions.known.topic[0] == 0xa5);
    CHECK(thalweg_engine_open(NULL, NULL, &engine, &versions.known) == THALWEG_INVALID_ARGUMENT);
    CHECK(versions.known.size == 16 && versions.known.status == THALWEG_INVALID_ARGUMENT);
    CHECK((uint8_t)versions.known.topic[0] == 0xa5 && (uint8_t)versions.known.message[0] == 0xa5);
    thalweg_error_init(&versions.known, sizeof versions);
    versions.later = 7;
    CHECK(thalweg_engine_open(NULL, NULL, &engine, &versions.known) == THALWEG_INVALID_ARGUMENT);
    CHECK(versions.known.size == sizeof versions && versions.later == 0 && versions.known.message[0] != 0);
}

static void one_owner(void) {
    const char *path = new_directory();
    thalweg_engine *engine = open_engine(path), *second = NULL;
    thalweg_engine_options options;
    thalweg_engine_options_init(&options, sizeof options);
    options.lock_timeout_ms = -1;
    ANSWERS(THALWEG_ALREADY_OPEN, thalweg_engine_open(path, &options, &second, &error));
    OK(thalweg_engine_close(engine, &error));
    /* Posix, and read only. */
    options.runtime = THALWEG_RUNTIME_POSIX;
    options.flags = THALWEG_ENGINE_READ_ONLY;
    OK(thalweg_engine_open(path, &options, &engine, &error));
    thalweg_topic *topic = NULL;
    ANSWERS(THALWEG_READ_ONLY, thalweg_topic_create(engine, "orders", NULL, &topic, &error));
    thalweg_info info;
    thalweg_info_init(&info, sizeof info);
    OK(thalweg_engine_info(engine, &info, &error));
    CHECK(info.read_only == 1 && info.runtime == THALWEG_RUNTIME_POSIX && info.size == sizeof info);
    OK(thalweg_engine_close(engine, &error));
}

/* Structs that are filled keep to the size that they say. */
static void filled(void) {
    thalweg_engine *engine = open_engine(new_directory());
    union {
        thalweg_info info;
        unsigned char bytes[sizeof(thalweg_info) + 64];
    } whole;
    memset(&whole, 0xee, sizeof whole);
    whole.info.size = 24;
    OK(thalweg_engine_info(engine, &whole.info, &error));
    CHECK(whole.info.size == 24 && whole.info.memory_budget == 64 << 20);
    CHECK(whole.bytes[24] == 0xee);
    whole.info.size = sizeof whole;
    OK(thalweg_engine_info(engine, &whole.info, &error));
    CHECK(whole.info.size == sizeof whole && whole.bytes[sizeof(thalweg_info)] == 0);
    CHECK(whole.info.shards == 1 && whole.info.recovered_clean == 1 && whole.info.store_id != 0);
    whole.info.size = 0;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_engine_info(engine, &whole.info, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_engine_info(engine, NULL, &error));
    OK(thalweg_engine_close(engine, &error));
}

/* Every struct that begins with its size is made ready alike. */
static void inits(void) {
#define READY(type)                                                       \
    do {                                                                  \
        union {                                                           \
            type known;                                                   \
            unsigned char bytes[sizeof(type) + 8];                        \
        } made;                                                           \
        memset(&made, 0xa5, sizeof made);                                 \
        type##_init(&made.known, sizeof made.known);                      \
        CHECK(made.known.size == sizeof(type));                           \
        for (size_t i = sizeof made.known.size; i < sizeof(type); i++)    \
            CHECK(made.bytes[i] == 0);                                    \
        CHECK(made.bytes[sizeof(type)] == 0xa5);                          \
        type##_init(NULL, sizeof(type));                                  \
    } while (0)
    READY(thalweg_error);
    READY(thalweg_engine_options);
    READY(thalweg_topic_options);
    READY(thalweg_append_options);
    READY(thalweg_consumer_options);
    READY(thalweg_info);
    READY(thalweg_metrics);
    READY(thalweg_event);
    READY(thalweg_verify_report);
    READY(thalweg_repaired);
#undef READY
}

void test_options(void) {
    thalweg_error_init(&error, sizeof error);
    sizes();
    ranges();
    one_owner();
    filled();
    inits();
}
