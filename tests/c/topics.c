/* Topics, partitions, truncation. */
#include "check.h"

static thalweg_error error;

static void create_open_delete(thalweg_engine *engine) {
    thalweg_topic *topic = create_topic(engine, "orders", 3), *same = NULL, *other = NULL;
    ANSWERS(THALWEG_ALREADY_EXISTS, thalweg_topic_create(engine, "orders", NULL, &other, &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_topic_open(engine, "nothing", &other, &error));
    const char *bad[] = {"", ".", "..", "a/b", "a b", "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_create(engine, bad[i], NULL, &other, &error));
    char long_name[251];
    memset(long_name, 'a', 250);
    long_name[250] = 0;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_create(engine, long_name, NULL, &other, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_create(engine, NULL, NULL, &other, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_open(engine, "orders", NULL, &error));
    thalweg_topic_options options;
    thalweg_topic_options_init(&options, sizeof options);
    options.partitions = 65537;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_create(engine, "many", &options, &other, &error));
    options.partitions = 1;
    options.durability = 9;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_create(engine, "odd", &options, &other, &error));
    options.durability = 0;
    options.reserved = 1;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_create(engine, "odd", &options, &other, &error));
    options.reserved = 0;
    CHECK(other == NULL);
    /* Without a handle. */
    options.durability = THALWEG_LOSE_ON_KILL;
    OK(thalweg_topic_create(engine, "weak", &options, NULL, &error));

    OK(thalweg_topic_open(engine, "orders", &same, &error));
    append_value(same, 2, "one");
    append_value(topic, 2, "two");
    thalweg_topic_info infos[2];
    size_t count = 0;
    OK(thalweg_topic_list(engine, infos, 2, &count, &error));
    CHECK(count == 2 && strcmp(infos[0].name, "orders") == 0 && strcmp(infos[1].name, "weak") == 0);
    CHECK(infos[0].partitions == 3 && infos[0].durability == THALWEG_DURABLE);
    CHECK(infos[1].durability == THALWEG_LOSE_ON_KILL && infos[0].id != infos[1].id);
    /* As many as there is room for. */
    memset(infos, 0, sizeof infos);
    OK(thalweg_topic_list(engine, infos, 1, &count, &error));
    CHECK(count == 2 && infos[1].partitions == 0);
    OK(thalweg_topic_list(engine, NULL, 0, &count, &error));
    CHECK(count == 2);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_list(engine, NULL, 1, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_list(engine, infos, 1, NULL, &error));

    thalweg_partition_info partitions[3];
    OK(thalweg_topic_list_partitions(topic, 1, partitions, 3, &count, &error));
    CHECK(count == 2 && partitions[0].partition == 1 && partitions[1].partition == 2);
    CHECK(partitions[1].high_watermark == 2 && partitions[1].segments == 1 && partitions[1].failed == 0);
    CHECK(partitions[1].stored_size > 6 && partitions[1].why[0] == 0 && partitions[1].damaged == 0);
    OK(thalweg_topic_list_partitions(topic, 7, partitions, 3, &count, &error));
    CHECK(count == 0);
    thalweg_damaged_range range;
    OK(thalweg_topic_list_damaged(topic, 2, &range, 1, &count, &error));
    CHECK(count == 0);
    ANSWERS(THALWEG_NOT_FOUND, thalweg_topic_list_damaged(topic, 3, &range, 1, &count, &error));

    thalweg_topic_info info;
    OK(thalweg_topic_describe(same, &info, &error));
    CHECK(info.partitions == 3 && info.id == infos[0].id);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_describe(same, NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_add_partitions(topic, 3, &error));
    OK(thalweg_topic_add_partitions(topic, 5, &error));
    OK(thalweg_topic_describe(same, &info, &error));
    CHECK(info.partitions == 5);

    uint32_t partition = 99;
    OK(thalweg_topic_partition_of(topic, "key", 3, &partition, &error));
    CHECK(partition == (uint32_t)(thalweg_murmur2("key", 3) & 0x7fffffff) % 5);
    OK(thalweg_topic_partition_of(topic, NULL, 0, &partition, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_partition_of(topic, NULL, 1, &partition, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_partition_of(topic, "key", 3, NULL, &error));
    ANSWERS(THALWEG_TOO_LARGE, thalweg_topic_partition_of(topic, "key", SIZE_MAX, &partition, &error));
    uint64_t offset = 99;
    OK(thalweg_topic_next_offset(topic, 2, &offset, &error));
    CHECK(offset == 2);
    ANSWERS(THALWEG_NOT_FOUND, thalweg_topic_next_offset(topic, 5, &offset, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_next_offset(topic, 2, NULL, &error));
    CHECK(offset == 2);

    OK(thalweg_topic_delete(engine, "orders", &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_topic_delete(engine, "orders", &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_delete(engine, NULL, &error));
    ANSWERS(THALWEG_DELETED, thalweg_topic_describe(topic, &info, &error));
    thalweg_record record = record_of("late");
    ANSWERS(THALWEG_DELETED, thalweg_topic_append(topic, 0, &record, NULL, LONG, NULL, &error));
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_topic_close(same, &error));
}

static void truncation(thalweg_engine *engine) {
    thalweg_topic *topic = create_topic(engine, "cut", 1);
    const char *values[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) append_value(topic, 0, values[i]);
    OK(thalweg_topic_truncate_before(topic, 0, 1, &error));
    OK(thalweg_topic_truncate_after(topic, 0, 3, &error));
    ANSWERS(THALWEG_OUT_OF_RANGE, thalweg_topic_truncate_after(topic, 0, 0, &error));
    ANSWERS(THALWEG_OUT_OF_RANGE, thalweg_topic_truncate_after(topic, 0, 9, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_truncate_before(topic, 0, UINT64_MAX, &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_topic_truncate_before(topic, 1, 1, &error));
    ANSWERS(THALWEG_NOT_FOUND, thalweg_topic_truncate_after(topic, 1, 1, &error));
    thalweg_partition_info info;
    size_t count;
    OK(thalweg_topic_list_partitions(topic, 0, &info, 1, &count, &error));
    CHECK(info.log_start == 1 && info.high_watermark == 3);
    CHECK(append_value(topic, 0, "new") == 3);
    thalweg_batch *batch;
    thalweg_batch_view view;
    ANSWERS(THALWEG_OUT_OF_RANGE, thalweg_topic_read(topic, 0, 0, 1 << 20, LONG, &batch, &view, &error));
    OK(thalweg_topic_read(topic, 0, 3, 1 << 20, LONG, &batch, &view, &error));
    CHECK(view.count == 1 && value_is(&view, 0, "new"));
    OK(thalweg_batch_release(batch, &error));
    OK(thalweg_topic_close(topic, &error));
}

void test_topics(void) {
    thalweg_error_init(&error, sizeof error);
    thalweg_engine *engine = open_engine(new_directory());
    create_open_delete(engine);
    truncation(engine);
    OK(thalweg_engine_close(engine, &error));
}
