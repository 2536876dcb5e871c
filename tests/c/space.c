/* A full device: what is refused, what is told, and that all goes on once there is space. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "check.h"

static thalweg_error error;

static int say(const char *path, const char *what) {
    FILE *file = fopen(path, "w");
    if (file == NULL) return -1;
    fputs(what, file);
    return fclose(file);
}

/* Who is not root is so in a name space of its own. */
static int leave(void) {
    char user[32], group[32];
    snprintf(user, sizeof user, "0 %u 1\n", (unsigned)geteuid());
    snprintf(group, sizeof group, "0 %u 1\n", (unsigned)getegid());
    if (geteuid() == 0) return unshare(CLONE_NEWNS);
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return -1;
    return say("/proc/self/setgroups", "deny") | say("/proc/self/uid_map", user) | say("/proc/self/gid_map", group);
}

/* A small file system, which only this process sees; 0 if the system does not let it have one. */
static int mount_small(const char *place) {
    if (leave() == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", place, "tmpfs", 0, "size=48m") == 0)
        return 1;
    const char *ci = getenv("CI");
    if (ci != NULL && strcmp(ci, "true") == 0) FAIL("a small file system is refused: %s", strerror(errno));
    fprintf(stderr, "skipped: a small file system is refused: %s\n", strerror(errno));
    return 0;
}

/* Takes events up to the first of a kind; 0 if none comes within so many ms. */
static int comes(thalweg_events *events, int fd, uint32_t kind, int ms, thalweg_event *event) {
    struct pollfd watched = {fd, POLLIN, 0};
    while (poll(&watched, 1, ms) == 1) {
        OK(thalweg_events_poll(events, event, &error));
        if (event->kind == kind) return 1;
    }
    return 0;
}

/* Submits until a try is refused for want of space, and goes on until the next one has been refused unseen. */
static void meet_the_end(thalweg_topic *topic, uint32_t partition, const thalweg_record *record) {
    thalweg_status status;
    do {
        usleep(1000);
        status = thalweg_topic_submit(topic, partition, record, NULL, NULL, 0, NULL, &error);
    } while (status == THALWEG_OK || status == THALWEG_WOULD_BLOCK);
    ANSWERS(THALWEG_NO_SPACE, status);
    CHECK(strcmp(error.topic, "full") == 0 && error.partition == partition);
    usleep(100000);
}

void test_space(void) {
    thalweg_error_init(&error, sizeof error);
    const char *path = new_directory();
    /* The engine makes the store's own directory, not this one. */
    char place[64];
    snprintf(place, sizeof place, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (!mount_small(place)) return;
    thalweg_engine *engine = open_engine(path);
    thalweg_topic *topic = create_topic(engine, "full", 2);
    thalweg_events *events;
    int32_t fd;
    OK(thalweg_events_open(engine, &events, &error));
    OK(thalweg_events_eventfd(events, &fd, &error));
    static char value[128 << 10];
    thalweg_record record = record_of("");
    record.value = (thalweg_bytes){value, sizeof value};
    uint64_t count = 0;
    thalweg_status status;
    while ((status = thalweg_topic_append(topic, 0, &record, NULL, LONG, NULL, &error)) == THALWEG_OK) count++;
    ANSWERS(THALWEG_NO_SPACE, status);
    CHECK(count > 100 && error.os_error == ENOSPC && strstr(error.message, "topic \"full\" partition 0"));
    /* Once, by its name, and with what to do. */
    CHECK(strstr(error.message, "topic #") == NULL && strstr(error.message, "truncate topics") != NULL);

    thalweg_event event;
    thalweg_event_init(&event, sizeof event);
    CHECK(comes(events, fd, THALWEG_EVENT_NO_SPACE, LONG, &event));
    CHECK(event.status == THALWEG_NO_SPACE && event.os_error == ENOSPC);
    CHECK(strcmp(event.topic, "full") == 0 && event.partition == 0);
    CHECK(!comes(events, fd, THALWEG_EVENT_SPACE_AVAILABLE, 2500, &event));
    /* Nothing has failed, and what is refused is not there. */
    uint64_t next;
    OK(thalweg_topic_next_offset(topic, 0, &next, &error));
    CHECK(next == count);
    ANSWERS(THALWEG_NO_SPACE, thalweg_topic_append(topic, 0, &record, NULL, LONG, NULL, &error));

    meet_the_end(topic, 1, &record);
    meet_the_end(topic, 0, &record);
    OK(thalweg_topic_truncate_before(topic, 0, count - 1, &error));
    CHECK(comes(events, fd, THALWEG_EVENT_SPACE_AVAILABLE, LONG, &event));
    CHECK(event.status == THALWEG_OK && strcmp(event.topic, "full") == 0 && event.partition == 0);
    /* The event stands for all partitions, and none answers for the time before. */
    for (uint32_t partition = 0; partition < 2; partition++) {
        status = thalweg_topic_submit(topic, partition, &record, NULL, NULL, 0, NULL, &error);
        CHECK(status == THALWEG_OK || status == THALWEG_WOULD_BLOCK);
    }
    for (int i = 0; i < 50; i++) OK(thalweg_topic_append(topic, 0, &record, NULL, LONG, NULL, &error));
    OK(thalweg_events_close(events, &error));
    OK(thalweg_topic_close(topic, &error));
    OK(thalweg_engine_close(engine, &error));
    CHECK(umount2(place, MNT_DETACH) == 0);
}
