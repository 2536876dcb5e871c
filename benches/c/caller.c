/* What a C program does in the rows that set it beside a Rust program. */
#include <unistd.h>

#include "thalweg.h"

/* Submits `calls` times `count` records, and tries again what there is no room for. 0, or the status that was no better. */
thalweg_status caller_append(thalweg_topic *topic, const thalweg_record *records, size_t count, uint64_t calls) {
    for (uint64_t i = 0; i < calls; i++) {
        thalweg_status status;
        for (;;) {
            status = count == 1
                         ? thalweg_topic_submit(topic, 0, records, NULL, NULL, 0, NULL, NULL)
                         : thalweg_topic_submit_batch(topic, 0, records, count, NULL, NULL, 0, NULL, NULL);
            if (status != THALWEG_WOULD_BLOCK) break;
            usleep(50);
        }
        if (status != THALWEG_OK) return status;
    }
    return THALWEG_OK;
}

/* Reads a partition from its beginning, and looks at the first byte and the size of each value. */
thalweg_status caller_walk(thalweg_topic *topic, uint64_t *total) {
    thalweg_reader *reader;
    thalweg_status status = thalweg_reader_open(topic, 0, THALWEG_START_EARLIEST, 0, &reader, NULL);
    if (status != THALWEG_OK) return status;
    uint64_t sum = 0;
    thalweg_batch *batch;
    thalweg_batch_view view;
    while ((status = thalweg_reader_next(reader, 1 << 20, 0, &batch, &view, NULL)) == THALWEG_OK) {
        for (size_t i = 0; i < view.count; i++)
            sum += view.data[view.entries[i].value_position] + view.entries[i].value_size;
        thalweg_batch_release(batch, NULL);
    }
    thalweg_reader_close(reader, NULL);
    if (status != THALWEG_WOULD_BLOCK) return status;
    *total = sum;
    return THALWEG_OK;
}
