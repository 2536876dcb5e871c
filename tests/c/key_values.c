/* Key-values. */
#include "check.h"

static thalweg_error error;

void test_key_values(void) {
    thalweg_error_init(&error, sizeof error);
    const char *path = new_directory();
    thalweg_engine *engine = open_engine(path);
    thalweg_topic *topic = create_topic(engine, "raft", 1);
    thalweg_key_values *values = NULL;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_key_values_open(engine, topic, NULL, &error));
    OK(thalweg_key_values_open(engine, topic, &values, &error));
    OK(thalweg_topic_close(topic, &error));
    char buffer[8];
    size_t size = 99;
    ANSWERS(THALWEG_NOT_FOUND, thalweg_key_values_get(values, "vote", 4, buffer, 8, &size, &error));
    CHECK(size == 99);
    OK(thalweg_key_values_put(values, "vote", 4, "node-2", 6, &error));
    OK(thalweg_key_values_put(values, "empty", 5, NULL, 0, &error));
    thalweg_key_value_write writes[3] = {{{"term", 4}, {"7", 1}}, {{"vote", 4}, {"node-3", 6}}, {{"gone", 4}, {NULL, 0}}};
    OK(thalweg_key_values_write(values, writes, 3, &error));
    OK(thalweg_key_values_write(values, NULL, 0, &error));
    OK(thalweg_key_values_get(values, "vote", 4, buffer, 8, &size, &error));
    CHECK(size == 6 && memcmp(buffer, "node-3", 6) == 0);
    OK(thalweg_key_values_get(values, "vote", 4, NULL, 0, &size, &error));
    CHECK(size == 6);
    memset(buffer, '.', 8);
    OK(thalweg_key_values_get(values, "vote", 4, buffer, 2, &size, &error));
    CHECK(size == 6 && memcmp(buffer, "no......", 8) == 0);
    OK(thalweg_key_values_get(values, "empty", 5, buffer, 8, &size, &error));
    CHECK(size == 0);

    thalweg_batch *batch;
    thalweg_batch_view view;
    OK(thalweg_key_values_list(values, NULL, 0, &batch, &view, &error));
    CHECK(view.count == 3 && view.topic[0] == 0);
    CHECK(memcmp(view.data + view.entries[1].key_position, "term", 4) == 0 && value_is(&view, 1, "7"));
    CHECK(value_is(&view, 2, "node-3") && value_is(&view, 0, ""));
    thalweg_header header;
    ANSWERS(THALWEG_NOT_FOUND, thalweg_batch_header(batch, 0, 0, &header, &error));
    int64_t time;
    OK(thalweg_batch_append_time(batch, 0, &time, &error));
    OK(thalweg_batch_release(batch, &error));
    OK(thalweg_key_values_list(values, "vo", 2, &batch, &view, &error));
    CHECK(view.count == 1);
    OK(thalweg_batch_release(batch, &error));
    OK(thalweg_key_values_list(values, "x", 1, &batch, &view, &error));
    CHECK(view.count == 0 && view.entries == NULL && view.data == NULL);
    OK(thalweg_batch_release(batch, &error));

    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_key_values_put(values, NULL, 0, "v", 1, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_key_values_put(values, NULL, 4, "v", 1, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_key_values_put(values, "k", 1, NULL, 1, &error));
    ANSWERS(THALWEG_TOO_LARGE, thalweg_key_values_put(values, "k", THALWEG_KEY_VALUE_KEY_MAX + 1, "v", 1, &error));
    ANSWERS(THALWEG_TOO_LARGE, thalweg_key_values_put(values, "k", 1, "v", SIZE_MAX, &error));
    ANSWERS(THALWEG_TOO_LARGE, thalweg_key_values_get(values, "k", THALWEG_KEY_VALUE_KEY_MAX + 1, buffer, 8, &size, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_key_values_get(values, "vote", 4, NULL, 8, &size, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_key_values_get(values, "vote", 4, buffer, 8, NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_key_values_delete(values, "", 0, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_key_values_write(values, NULL, 1, &error));
    ANSWERS(THALWEG_TOO_LARGE, thalweg_key_values_write(values, writes, THALWEG_KEY_VALUE_WRITES_MAX + 1, &error));
    ANSWERS(THALWEG_TOO_LARGE, thalweg_key_values_list(values, "x", THALWEG_KEY_VALUE_KEY_MAX + 1, &batch, &view, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_key_values_list(values, NULL, 0, NULL, &view, &error));
    OK(thalweg_key_values_delete(values, "vote", 4, &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_key_values_get(values, "vote", 4, buffer, 8, &size, &error));
    OK(thalweg_key_values_close(values, &error));
    OK(thalweg_engine_close(engine, &error));

    engine = open_engine(path);
    OK(thalweg_topic_open(engine, "raft", &topic, &error));
    OK(thalweg_key_values_open(engine, topic, &values, &error));
    OK(thalweg_key_values_get(values, "term", 4, buffer, 8, &size, &error));
    CHECK(size == 1 && buffer[0] == '7');
    thalweg_repaired repaired;
    thalweg_repaired_init(&repaired, sizeof repaired);
    OK(thalweg_key_values_repair(engine, &repaired, &error));
    CHECK(repaired.kept > 0 && repaired.uncertain == 0 && repaired.lost == 0);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_key_values_repair(engine, NULL, &error));
    OK(thalweg_key_values_get(values, "term", 4, buffer, 8, &size, &error));
    CHECK(size == 1 && buffer[0] == '7');
    OK(thalweg_topic_delete(engine, "raft", &error));
    ANSWERS(THALWEG_DELETED, thalweg_key_values_put(values, "k", 1, "v", 1, &error));
    OK(thalweg_key_values_close(values, &error));
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_engine_close(engine, &error));
}
