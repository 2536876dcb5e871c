/* Information, metrics, events, verification, and damage. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "check.h"

static thalweg_error error;

static void numbers(thalweg_engine *engine, thalweg_topic *topic) {
    thalweg_metrics metrics;
    thalweg_metrics_init(&metrics, sizeof metrics);
    OK(thalweg_engine_metrics(engine, &metrics, &error));
    uint64_t appends = metrics.appends, bytes = metrics.appended_bytes;
    append_value(topic, 0, "value");
    OK(thalweg_engine_metrics(engine, &metrics, &error));
    CHECK(metrics.appends == appends + 1 && metrics.appended_bytes == bytes + 5 && metrics.open_ns > 0);
    CHECK(metrics.memory_budget == 64 << 20 && metrics.written_journal + metrics.written_direct > 0);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_engine_metrics(engine, NULL, &error));

    static char text[1 << 16];
    size_t size, again;
    OK(thalweg_engine_metrics_json(engine, NULL, 0, &size, &error));
    CHECK(size > 100);
    OK(thalweg_engine_metrics_json(engine, text, sizeof text, &again, &error));
    CHECK(strlen(text) == again && text[0] == '{' && text[again - 1] == '}' && strstr(text, "\"topic\":\"orders\""));
    OK(thalweg_engine_metrics_json(engine, text, SIZE_MAX, &again, &error));
    CHECK(strlen(text) == again);
    OK(thalweg_engine_metrics_json(engine, text, 10, &again, &error));
    CHECK(strlen(text) == 9 && again > 100);
    OK(thalweg_engine_metrics_prometheus(engine, text, sizeof text, &size, &error));
    CHECK(strlen(text) == size && strstr(text, "thalweg_topic_appends_total{topic=\"orders\"}"));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_engine_metrics_json(engine, NULL, 10, &size, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_engine_metrics_json(engine, text, 10, NULL, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_engine_metrics_prometheus(engine, text, 10, NULL, &error));
    OK(thalweg_engine_info_text(engine, text, sizeof text, &size, &error));
    CHECK(strlen(text) == size && strstr(text, "\nruntime: "));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_engine_info_text(engine, text, 10, NULL, &error));
    size_t count;
    OK(thalweg_engine_list_damaged(engine, NULL, 0, &count, &error));
    CHECK(count == 0);
}

static void events(thalweg_engine *engine, thalweg_topic *topic) {
    thalweg_events *events = NULL;
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_events_open(engine, NULL, &error));
    OK(thalweg_events_open(engine, &events, &error));
    int32_t fd;
    OK(thalweg_events_eventfd(events, &fd, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_events_eventfd(events, NULL, &error));
    thalweg_event event;
    thalweg_event_init(&event, sizeof event);
    int opened = 0, recovered = 0;
    while (readable(fd)) {
        OK(thalweg_events_poll(events, &event, &error));
        opened += event.kind == THALWEG_EVENT_OPENED;
        recovered += event.kind == THALWEG_EVENT_RECOVERED && event.clean == 1;
        CHECK(event.time > 0 && strlen(event.message) > 5);
    }
    CHECK(opened == 1 && recovered == 1);
    ANSWERS(THALWEG_WOULD_BLOCK, thalweg_events_poll(events, &event, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_events_poll(events, NULL, &error));
    OK(thalweg_topic_truncate_before(topic, 0, 1, &error));
    OK(thalweg_events_poll(events, &event, &error));
    CHECK(event.kind == THALWEG_EVENT_TRUNCATED && strcmp(event.topic, "orders") == 0 && event.start == 1);
    uint64_t dropped = 99;
    OK(thalweg_events_dropped(events, &dropped, &error));
    CHECK(dropped == 0);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_events_dropped(events, NULL, &error));
    OK(thalweg_events_close(events, &error));
}

static void verification(thalweg_engine *engine, uint64_t records, uint64_t damaged) {
    thalweg_verify_report report;
    thalweg_verify_report_init(&report, sizeof report);
    thalweg_damaged_range ranges[2];
    size_t count;
    OK(thalweg_engine_verify(engine, &report, ranges, 2, &count, &error));
    if (report.topics != 1 || report.records != records || report.damaged != damaged || count != damaged)
        FAIL("%d topics, %d records, %d damaged", (int)report.topics, (int)report.records, (int)report.damaged);
    if (damaged) CHECK(strcmp(ranges[0].topic, "orders") == 0 && ranges[0].end > ranges[0].start);
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_engine_verify(engine, NULL, ranges, 2, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_engine_verify(engine, &report, NULL, 2, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_engine_verify(engine, &report, ranges, 2, NULL, &error));
}

/* How many frames of a kind there are. */
static int frames_of(thalweg_topic *topic, uint32_t kind) {
    thalweg_frame frames[16];
    size_t count;
    int found = 0;
    OK(thalweg_topic_list_frames(topic, 0, 0, UINT64_MAX, frames, 16, &count, &error));
    CHECK(count <= 16);
    for (size_t i = 0; i < count; i++) {
        CHECK(frames[i].generation != 0 && frames[i].flags == 0 && frames[i].reserved == 0);
        CHECK((frames[i].kind == THALWEG_FRAME_DAMAGE) == (frames[i].why[0] != 0));
        found += frames[i].kind == kind;
    }
    return found;
}

static void frames(thalweg_topic *topic, int damaged) {
    CHECK(frames_of(topic, THALWEG_FRAME_DATA) == 3 - damaged);
    CHECK(frames_of(topic, THALWEG_FRAME_DAMAGE) == damaged);
    thalweg_frame frame;
    size_t count, all;
    OK(thalweg_topic_list_frames(topic, 0, 0, 1, &frame, 1, &count, &error));
    CHECK(count == 1 && frame.kind == THALWEG_FRAME_DATA && frame.base_offset == 0 && frame.count == 1);
    OK(thalweg_topic_list_frames(topic, 0, 0, UINT64_MAX, NULL, 0, &all, &error));
    CHECK(all >= 3);
    OK(thalweg_topic_list_frames(topic, 0, 0, UINT64_MAX, &frame, 1, &count, &error));
    CHECK(count == all);
    ANSWERS(THALWEG_NOT_FOUND, thalweg_topic_list_frames(topic, 1, 0, 1, &frame, 1, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_list_frames(topic, 0, 0, 1, NULL, 1, &count, &error));
    ANSWERS(THALWEG_INVALID_ARGUMENT, thalweg_topic_list_frames(topic, 0, 0, 1, &frame, 1, NULL, &error));
}

/* Turns one byte, which the value of a record is recognised by, in whatever file of the store it is. */
static int spoil(const char *path, const char *pattern) {
    int spoiled = 0;
    DIR *directory = opendir(path);
    CHECK(directory != NULL);
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.') continue;
        if (entry->d_type == DT_DIR) {
            spoiled += spoil(name, pattern);
            continue;
        }
        int fd = open(name, O_RDWR);
        if (fd < 0) continue;
        off_t size = lseek(fd, 0, SEEK_END);
        char *bytes = malloc((size_t)size + 1);
        CHECK(bytes != NULL && pread(fd, bytes, (size_t)size, 0) == size);
        char *found = memmem(bytes, (size_t)size, pattern, strlen(pattern));
        if (found != NULL && strstr(entry->d_name, "journal") == NULL) {
            char turned = (char)(*found ^ 1);
            CHECK(pwrite(fd, &turned, 1, found - bytes) == 1);
            spoiled++;
        }
        free(bytes);
        close(fd);
    }
    closedir(directory);
    return spoiled;
}

static void damage(const char *path) {
    CHECK(spoil(path, "a value to be found") >= 1);
    thalweg_engine *engine = open_engine(path);
    thalweg_topic *topic = NULL;
    OK(thalweg_topic_open(engine, "orders", &topic, &error));
    thalweg_reader *reader;
    OK(thalweg_reader_open(topic, 0, THALWEG_START_EARLIEST, 0, &reader, &error));
    thalweg_batch *batch = NULL;
    thalweg_batch_view view;
    uint64_t records = 0;
    thalweg_status status;
    int told = 0;
    while ((status = thalweg_reader_next(reader, 1 << 20, 0, &batch, &view, &error)) != THALWEG_WOULD_BLOCK) {
        if (status == THALWEG_OK) {
            records += view.count;
            OK(thalweg_batch_release(batch, &error));
            continue;
        }
        ANSWERS(THALWEG_CORRUPT, status);
        CHECK(error.status == THALWEG_CORRUPT && strcmp(error.topic, "orders") == 0 && error.partition == 0);
        CHECK(error.end > error.start && strstr(error.message, "orders") != NULL);
        OK(thalweg_reader_seek(reader, THALWEG_START_OFFSET, error.end, &error));
        CHECK(++told < 10);
    }
    CHECK(told == 1);
    CHECK(records == 2);
    frames(topic, 1);
    verification(engine, records, 1);
    OK(thalweg_reader_close(reader, &error));
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_engine_close(engine, &error));
}

void test_watching(void) {
    thalweg_error_init(&error, sizeof error);
    const char *path = new_directory();
    thalweg_engine *engine = open_engine(path);
    thalweg_topic *topic = create_topic(engine, "orders", 1);
    append_value(topic, 0, "first");
    numbers(engine, topic);
    events(engine, topic);
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_engine_close(engine, &error));

    path = new_directory();
    engine = open_engine(path);
    topic = create_topic(engine, "orders", 1);
    append_value(topic, 0, "first");
    append_value(topic, 0, "a value to be found");
    append_value(topic, 0, "last");
    frames(topic, 0);
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_engine_close(engine, &error));
    engine = open_engine(path);
    verification(engine, 3, 0);
    OK(thalweg_engine_close(engine, &error));
    damage(path);
}
