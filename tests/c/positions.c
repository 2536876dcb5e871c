/* Commits, and named positions. */
#include <sys/resource.h>

#include "check.h"

static thalweg_error error;

static thalweg_consumer *named(thalweg_engine *engine, const char *name, thalweg_topic *topic) {
    thalweg_consumer_options options;
    thalweg_consumer_options_init(&options, sizeof options);
    options.name = name;
    thalweg_consumer *consumer = NULL;
    OK(thalweg_consumer_open(engine, &options, &consumer, &error));
    OK(thalweg_consumer_subscribe(consumer, topic, &error));
    return consumer;
}

/* The value of the next record. */
static void next_is(thalweg_consumer *consumer, const char *value) {
    thalweg_batch *batch;
    thalweg_batch_view view;
    OK(thalweg_consumer_wait(consumer, 1, LONG, &batch, &view, &error));
    CHECK(value_is(&view, 0, value));
    OK(thalweg_batch_release(batch, &error));
}

/* What the device refuses of a commit is told with the name that was to be committed; it was told of a topic of the engine's
   own, which nobody has heard of. */
static void refused(void) {
    thalweg_engine *engine = open_engine(new_directory());
    thalweg_topic *topic = create_topic(engine, "orders", 1);
    append_value(topic, 0, "a");
    append_value(topic, 0, "b");
    thalweg_consumer *consumer = named(engine, "billing", topic);
    next_is(consumer, "a");
    OK(thalweg_consumer_commit(consumer, &error));
    next_is(consumer, "b");
    thalweg_key_values *values = NULL;
    OK(thalweg_key_values_open(engine, topic, &values, &error));
    OK(thalweg_key_values_put(values, "k", 1, "v", 1, &error));
    struct rlimit before, small;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 4096;
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    thalweg_status committed = thalweg_consumer_commit(consumer, &error);
    thalweg_error why = error;
    thalweg_status put = thalweg_key_values_put(values, "k", 1, "v", 1, &error);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(committed != THALWEG_OK && put != THALWEG_OK);
    if (strstr(why.message, "position of consumer \"billing\": the log of named positions: ") == NULL)
        FAIL("a refused commit says: %s", why.message);
    if (strstr(error.message, "key-values of topic \"orders\": the log of key-values: ") == NULL)
        FAIL("a refused change says: %s", error.message);
    OK(thalweg_key_values_close(values, &error));
    OK(thalweg_consumer_close(consumer, &error));
    OK(thalweg_topic_close(topic, &error));
    thalweg_engine_close(engine, NULL);
}

void test_positions(void) {
    thalweg_error_init(&error, sizeof error);
    refused();
    const char *path = new_directory();
    thalweg_engine *engine = open_engine(path);
    thalweg_topic *topic = create_topic(engine, "orders", 1), *other = create_topic(engine, "other", 2);
    append_value(topic, 0, "a");
    append_value(topic, 0, "b");
    append_value(topic, 0, "c");
    thalweg_consumer *consumer = named(engine, "billing", topic);
    next_is(consumer, "a");
    thalweg_consumer_position at[2];
    size_t count;
    OK(thalweg_consumer_positions(consumer, at, 2, &count, &error));
    CHECK(count == 1 && at[0].offset == 1 && at[0].committed == THALWEG_NO_OFFSET && at[0].lag == 2);
    CHECK(strcmp(at[0].topic, "orders") == 0 && at[0].partition == 0);
    OK(thalweg_consumer_commit(consumer, &error));
    OK(thalweg_consumer_positions(consumer, at, 2, &count, &error));
    CHECK(at[0].committed == 1);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_positions(consumer, NULL, 2, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_positions(consumer, at, 2, NULL, &error));
    next_is(consumer, "b");
    OK(thalweg_consumer_close(consumer, &error));
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_topic_close(other, &error));
    OK(thalweg_engine_close(engine, &error));

    /* What was committed is where it goes on, what was only read comes again. */
    engine = open_engine(path);
    OK(thalweg_topic_open(engine, "orders", &topic, &error));
    OK(thalweg_topic_open(engine, "other", &other, &error));
    consumer = named(engine, "billing", topic);
    next_is(consumer, "b");
    thalweg_position positions[2];
    memset(positions, 0, sizeof positions);
    positions[0].topic = topic;
    positions[0].offset = 2;
    positions[0].metadata = (thalweg_bytes){"note", 4};
    positions[1].topic = other;
    positions[1].partition = 1;
    OK(thalweg_consumer_commit_positions(consumer, positions, 2, &error));
    OK(thalweg_consumer_commit_positions(consumer, NULL, 0, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_commit_positions(consumer, NULL, 1, &error));
    positions[1].partition = 2;
    ANSWERS(THALWEG_NOT_FOUND, thalweg_consumer_commit_positions(consumer, positions, 2, &error));
    positions[1].partition = 1;
    positions[1].reserved = 1;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_commit_positions(consumer, positions, 2, &error));
    positions[1].reserved = 0;
    positions[1].topic = NULL;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_commit_positions(consumer, positions, 2, &error));
    positions[0].metadata.size = THALWEG_POSITION_METADATA_MAX + 1;
    ANSWERS(THALWEG_TOO_LARGE, thalweg_consumer_commit_positions(consumer, positions, 1, &error));
    ANSWERS(THALWEG_ALREADY_OPEN, thalweg_position_reset(engine, "billing", topic, 0, THALWEG_START_EARLIEST, 0, &error));
    thalweg_consumer *nameless = NULL;
    OK(thalweg_consumer_open(engine, NULL, &nameless, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_consumer_commit(nameless, &error));
    OK(thalweg_consumer_close(nameless, &error));
    OK(thalweg_consumer_close(consumer, &error));

    thalweg_named_position found[4];
    OK(thalweg_position_list(engine, "billing", found, 4, &count, &error));
    CHECK(count == 2 && found[0].offset == 2 && found[0].high_watermark == 3 && found[0].lag == 1);
    CHECK(found[0].metadata_size == 4 && strcmp(found[0].consumer, "billing") == 0);
    CHECK(strcmp(found[1].topic, "other") == 0 && found[1].partition == 1);
    OK(thalweg_position_list(engine, NULL, NULL, 0, &count, &error));
    CHECK(count == 2);
    OK(thalweg_position_list(engine, "nobody", found, 4, &count, &error));
    CHECK(count == 0);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_position_list(engine, "no/body", found, 4, &count, &error));
    char metadata[8] = "........";
    OK(thalweg_position_metadata(engine, "billing", "orders", 0, metadata, 2, &count, &error));
    CHECK(count == 4 && memcmp(metadata, "no..", 4) == 0);
    OK(thalweg_position_metadata(engine, "billing", "orders", 0, metadata, 8, &count, &error));
    CHECK(count == 4 && memcmp(metadata, "note....", 8) == 0);
    ANSWERS(THALWEG_NOT_FOUND, thalweg_position_metadata(engine, "billing", "orders", 1, metadata, 8, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_position_metadata(engine, NULL, "orders", 0, metadata, 8, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_position_metadata(engine, "billing", NULL, 0, metadata, 8, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT,
            thalweg_position_metadata(engine, "billing", "orders", 0, metadata, 8, NULL, &error));

    OK(thalweg_position_reset(engine, "billing", topic, 0, THALWEG_START_OFFSET, 1, &error));
    ANSWERS(THALWEG_OUT_OF_RANGE, thalweg_position_reset(engine, "billing", topic, 0, THALWEG_START_OFFSET, 9, &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_position_reset(engine, "billing", topic, 7, THALWEG_START_EARLIEST, 0, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_position_reset(engine, NULL, topic, 0, THALWEG_START_EARLIEST, 0, &error));
    OK(thalweg_position_reset(engine, "fresh", other, THALWEG_PARTITION_ALL, THALWEG_START_LATEST, 0, &error));
    OK(thalweg_position_list(engine, "fresh", found, 4, &count, &error));
    CHECK(count == 2);
    consumer = named(engine, "billing", topic);
    next_is(consumer, "b");
    OK(thalweg_consumer_close(consumer, &error));
    thalweg_repaired repaired;
    thalweg_repaired_init(&repaired, sizeof repaired);
    OK(thalweg_position_repair(engine, &repaired, &error));
    CHECK(repaired.kept == 4 && repaired.uncertain == 0 && repaired.lost == 0);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_position_repair(engine, NULL, &error));
    OK(thalweg_position_delete(engine, "billing", other, &error));
    OK(thalweg_position_delete(engine, "billing", NULL, &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_position_delete(engine, "billing", NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_position_delete(engine, NULL, NULL, &error));
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_topic_close(other, &error));
    OK(thalweg_engine_close(engine, &error));
}
